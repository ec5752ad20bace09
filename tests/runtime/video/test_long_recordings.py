"""Recordings of runs that last: full disks, rotation, limits, and what a killed run leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import cv2
import numpy as np
import pytest
from camera_runs import check_numbering, lines_of, spots
from http_camera import HttpCamera
from networks import spot_picture
from processes import environment, line, posec, start
from tiny_bundles import write_tiny_bundle

from toolkit.runtime.command.arguments import EXIT_OUTPUT_FAILED
from toolkit.runtime.video.recording.clip import Clip
from toolkit.runtime.video.recording.line_file import LINES


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "bundle").folder


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk in a namespace of its own, as root")
@pytest.mark.parametrize("options", [["--no-overlay"], []])
def test_a_full_disk_ends_the_run_with_whole_lines_and_its_own_status(bundle, tmp_path, options):
    (tmp_path / "disk").mkdir()
    script = 'mount -t tmpfs -o size=300k tmpfs "$0" && "$@"; s=$?; cp -r "$0/out" "$0/../kept"; exit $s'
    with HttpCamera([spots(3000, people=3)], 0.001) as camera:
        words = line("run", bundle, "--source", camera.url, "-o", tmp_path / "disk" / "out", *options)
        command = ["unshare", "-m", "sh", "-c", script, str(tmp_path / "disk"), *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment(), timeout=120)
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this machine has no namespaces")
    assert done.returncode == EXIT_OUTPUT_FAILED, done.stderr
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    check_numbering(lines_of(tmp_path / "kept" / LINES))


def test_files_written_before_the_clock_was_set_back_are_replaced_when_asked(bundle, tmp_path):
    cv2.imwrite(str(tmp_path / "scene.png"), spot_picture(2, seed=2))
    again = ["run", bundle, "--source", tmp_path / "scene.png", "-o", tmp_path / "out"]
    assert posec(*again).returncode == 0
    manifest = tmp_path / "out" / "recording.json"
    earlier = manifest.stat().st_mtime - 3600
    os.utime(manifest, (earlier, earlier))
    done = posec(*again, "--overwrite")
    assert done.returncode == 0, done.stderr


def test_a_rotated_recording_has_whole_lines_in_every_part_and_stays_within_its_limit(bundle, tmp_path):
    out = tmp_path / "out"
    with HttpCamera([spots(300)], 0.004) as camera:
        words = ["run", bundle, "--source", camera.url, "--retry", 0, "-o", out, "--no-overlay"]
        done = posec(*words, "--rotate", "20kB")
    assert done.returncode == 3, done.stderr
    parts = sorted(out.glob("people-*.jsonl"))
    assert len(parts) > 3
    assert all(part.stat().st_size <= 20_000 for part in parts)
    check_numbering([each for part in [*parts, out / LINES] for each in lines_of(part)])
    with HttpCamera([spots(900)], 0.004) as camera:
        words[3] = camera.url
        done = posec(*words, "--rotate", "20kB", "--max-disk", "60kB")
    assert done.returncode == 3, done.stderr
    later = sorted(out.glob("people-*.jsonl"))
    assert not set(parts) & set(later)  # the oldest were removed
    assert sum(path.stat().st_size for path in out.iterdir()) <= 61_000
    assert lines_of(out / LINES)


def test_a_service_that_is_killed_and_started_again_continues_its_recording(bundle, tmp_path):
    out = tmp_path / "out"
    for stop in (signal.SIGKILL, signal.SIGTERM):
        with HttpCamera([spots(3000)], 0.01) as camera:
            words = ["run", bundle, "--source", camera.url, "-o", out, "--rotate", "1h", "--json"]
            with start(*words) as process:
                read = [process.stdout.readline() for _ in range(30)]
                process.send_signal(stop)
                process.communicate()
        if stop is signal.SIGKILL:
            with open(out / LINES, "a") as file:
                file.write('{"half a line": [1, 2')  # as a power cut leaves it
    first = (out / "people-000001.jsonl").read_text()
    assert first.splitlines()[:30] != [text.rstrip() for text in read]
    assert len(lines_of(out / "people-000001.jsonl")) >= 30
    assert (out / LINES).read_text().splitlines()[:30] == [text.rstrip() for text in read]
    assert not list(out.glob("interrupted*"))
    assert len(list(out.glob("overlay*.mkv"))) >= 2


def test_lines_can_be_read_while_a_run_writes_them(bundle, tmp_path):
    with HttpCamera([spots(3000)], 0.01) as camera:
        words = ["run", bundle, "--source", camera.url, "-o", tmp_path / "out", "--json", "--fsync"]
        with start(*words, "--no-overlay") as process:
            read = [process.stdout.readline() for _ in range(20)]
            assert (tmp_path / "out" / LINES).read_text().splitlines(keepends=True)[:20] == read
            process.send_signal(signal.SIGTERM)
            process.communicate()
    assert process.returncode == 0


def test_every_third_picture_is_used(bundle, tmp_path):
    for number in range(9):
        cv2.imwrite(str(tmp_path / f"{number}.png"), spot_picture(1, seed=number))
    done = posec("run", bundle, "--source", tmp_path, "--every", 3, "--json")
    assert [json.loads(text)["picture"] for text in done.stdout.splitlines()] == ["0.png", "3.png", "6.png"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--rotate", "soon"], "a size such as 100MB or a duration such as 30min"),
        (["--rotate", "0MB"], "a size such as 100MB"),
        (["--max-disk", "1h", "--rotate", "1h"], "a size such as 100MB or 2GB is needed"),
        (["--max-disk", "1GB"], "add --rotate"),
        (["--rotate", "1h", "--overwrite"], "leave out --overwrite"),
        (["--every", "0"], "a number from 1 is needed"),
        (["--every", "9" * 20], "--every must be 1 to"),
        (["--rotate", "0.0001kB"], "a size such as 100MB"),
        (["--focal-px", "1e300"], "up to 1e+06, got 1e+300"),
    ],
)
def test_limits_that_do_not_fit_are_refused(bundle, tmp_path, words, sentence):
    done = posec("run", bundle, "--source", "0", "-o", tmp_path / "out", *words)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("hz", [66.667, 83.333, 119.97, 12.3457])
def test_clips_of_any_rate_can_be_written(tmp_path, hz):
    clip = Clip(tmp_path, None, live=True)
    for number in range(20):
        clip.write(np.full((48, 64, 3), number, np.uint8), number / hz)
    clip.close()
    assert cv2.VideoCapture(str(tmp_path / "overlay.mkv")).get(cv2.CAP_PROP_FPS) == pytest.approx(
        hz, rel=0.01
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 5), (90, 9000), (9000, 90)])
def test_clips_of_any_size_can_be_written(tmp_path, size):
    clip = Clip(tmp_path, 10.0, live=False)
    for number in range(9):
        clip.write(np.full((*size, 3), 20 * number, np.uint8), number / 10)
    clip.close()
    assert cv2.VideoCapture(str(tmp_path / "overlay.mkv")).get(cv2.CAP_PROP_FRAME_COUNT) == 9
