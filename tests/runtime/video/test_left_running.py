"""A run that is left alone: its camera, its engine, its disk and its clock fail, as real processes see it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time

import cv2
import numpy as np
import onnx
import pytest
from http_camera import HttpCamera
from networks import spot_picture, tiny_graph_of
from onnx import TensorProto, helper, numpy_helper
from processes import environment, line, posec, start
from tiny_bundles import write_tiny_bundle
from video_files import jpeg

from toolkit.runtime.command.arguments import EXIT_ENGINE_FAILED, EXIT_OUTPUT_FAILED
from toolkit.runtime.video.black_pictures import BlackPictures
from toolkit.runtime.video.recording.clip import Clip
from toolkit.runtime.video.recording.line_file import LINES

CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
/* The wall clock is an hour slow from the second second on; the monotonic clock is left alone. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    static time_t first;
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int status = real(clock, now);
    if (clock == CLOCK_REALTIME) {
        if (!first) first = now->tv_sec;
        if (now->tv_sec > first + 2) now->tv_sec -= 3600;
    }
    return status;
}
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "bundle").folder


def spots(count, size=(120, 160), people=1):
    return [jpeg(spot_picture(people, seed=7, size=size))] * count


def lines_of(path):
    content = path.read_text()
    assert content.endswith("\n")
    return [json.loads(text) for text in content.splitlines()]


def check_numbering(lines):
    assert [each["picture"] for each in lines] == [f"{number:06d}" for number in range(len(lines))]


def run_camera(bundle, connections, *options, every_s=0.02, **started):
    with HttpCamera(connections, every_s) as camera:
        return posec("run", bundle, "--source", camera.url, "--retry", 0, *options, **started)


def test_half_pictures_of_a_camera_do_not_end_a_run(bundle, tmp_path):
    whole = spots(1)[0]
    half = [whole[: len(whole) // 2], whole[:40], b"", b"no picture"]
    done = run_camera(bundle, [spots(20) + half + spots(20)], "-o", tmp_path / "out", every_s=0.05)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    lines = lines_of(tmp_path / "out" / LINES)
    check_numbering(lines)
    assert len(lines) > 25
    assert len(lines[-1]["scores"]) == 1


def test_a_camera_may_change_the_size_of_its_pictures(bundle, tmp_path):
    sizes = [spots(20), spots(20, (96, 128)), spots(20, (240, 320))]
    with HttpCamera(sizes) as camera:
        done = posec("run", bundle, "--source", camera.url, "--retry", 4, "-o", tmp_path / "out")
    assert done.returncode == 3, done.stderr
    lines = lines_of(tmp_path / "out" / LINES)
    check_numbering(lines)
    assert {tuple(each["size"]) for each in lines} == {(120, 160), (96, 128), (240, 320)}
    clips = sorted((tmp_path / "out").glob("overlay*.mkv"))
    assert len(clips) == 3
    assert all(cv2.VideoCapture(str(clip)).read()[0] for clip in clips)


def test_black_pictures_are_reported_once_and_so_is_their_end():
    said = []
    black = BlackPictures("camera 0", said.append)
    dark, light = np.full((48, 64, 3), 9, np.uint8), np.full((48, 64, 3), 90, np.uint8)
    for second in range(30):
        black.check(dark, 100.0 + second)
    black.check(light, 131.0)
    black.check(dark, 132.0)
    black.check(light, 133.0)
    assert [text.partition(";")[0] for text in said] == [
        "camera 0 has sent black pictures for 10 s",
        "camera 0 no longer sends black pictures, after 31 s",
    ]


def failing_in_light():
    """Return the tiny network with an engine error on light pictures: an index beyond its table."""
    graph = tiny_graph_of()
    model = graph.model
    name = model.graph.input[0].name
    table = numpy_helper.from_array(np.zeros(1, np.float32), "table")
    scale = numpy_helper.from_array(np.array(1.05, np.float32), "factor")
    model.graph.initializer.extend([table, scale])
    heat = next(node for node in model.graph.node if graph.spec.heads["centre"].tensor in node.output)
    heat.output[0] = "unchecked"
    model.graph.node.extend(
        [
            helper.make_node("Cast", [name], ["as_float"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMin", ["as_float"], ["darkest"], keepdims=0),
            helper.make_node("Mul", ["darkest", "factor"], ["level"]),
            helper.make_node("Cast", ["level"], ["index"], to=TensorProto.INT64),
            helper.make_node("Gather", ["table", "index"], ["nothing"]),
            helper.make_node("Add", ["unchecked", "nothing"], [graph.spec.heads["centre"].tensor]),
        ]
    )
    onnx.checker.check_model(model)
    return graph


@pytest.fixture(scope="module")
def fragile(tmp_path_factory):
    """A bundle whose engine fails on white pictures that fill its input."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "fragile", failing_in_light()).folder


def of_input_size(count, white):
    picture = np.full((64, 96, 3), 255, np.uint8) if white else spot_picture(1, seed=7, size=(64, 96))
    return [jpeg(picture)] * count


def test_a_run_goes_on_after_an_engine_error(fragile, tmp_path):
    parts = of_input_size(10, white=False) + of_input_size(8, white=True) + of_input_size(120, white=False)
    done = run_camera(fragile, [parts], "-o", tmp_path / "out", every_s=0.05)
    assert done.returncode == 3, done.stderr
    assert "trying again in 0.5 s, attempt 1 of 5" in done.stderr
    check_numbering_increases(lines_of(tmp_path / "out" / LINES))


def check_numbering_increases(lines):
    numbers = [int(each["picture"]) for each in lines]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] > 20
    assert len(numbers) < numbers[-1] + 1


@pytest.mark.slow
def test_an_engine_that_keeps_failing_ends_the_run_with_its_own_status(fragile, tmp_path):
    parts = of_input_size(10, white=False) + of_input_size(2000, white=True)
    done = run_camera(fragile, [parts], "-o", tmp_path / "out", every_s=0.02)
    assert done.returncode == EXIT_ENGINE_FAILED, done.stderr
    assert [f"in {pause:g} s" in done.stderr for pause in (0.5, 1, 2, 4, 8)] == [True] * 5
    assert "Traceback" not in done.stderr
    lines_of(tmp_path / "out" / LINES)


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


@pytest.mark.skipif(shutil.which("gcc") is None, reason="compiles a clock with gcc")
def test_a_clock_that_is_set_back_changes_neither_the_times_nor_the_recording(bundle, tmp_path):
    (tmp_path / "clock.c").write_text(CLOCK)
    compiled = tmp_path / "clock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", compiled, tmp_path / "clock.c", "-ldl"], check=True)
    with HttpCamera([spots(100)], 0.05) as camera:
        words = line("run", bundle, "--source", camera.url, "--retry", 0, "-o", tmp_path / "out")
        done = subprocess.run(
            words, capture_output=True, text=True, env={**environment(), "LD_PRELOAD": str(compiled)}
        )
    assert done.returncode == 3, done.stderr
    lines = lines_of(tmp_path / "out" / LINES)
    assert min(each["unix_s"] for each in lines) < lines[0]["unix_s"] - 3000  # it was set back
    seconds = [each["seconds"] for each in lines]
    assert seconds == sorted(seconds)
    assert {number for each in lines for number in each["numbers"]} == {1}


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
    assert sum(path.stat().st_size for path in out.glob("people*")) <= 75_000
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


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_that_a_run_has_begun_lives_and_ends(bundle, tmp_path, abstract):
    name = f"posec-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name if abstract else name)
        receiver.settimeout(30)
        given = {**environment(), "NOTIFY_SOCKET": ("@" if abstract else "") + name}
        with HttpCamera([spots(3000)], 0.02) as camera:
            words = line("run", bundle, "--source", camera.url)
            with subprocess.Popen(words, env=given, stderr=subprocess.PIPE) as process:
                started = time.monotonic()
                heard = [receiver.recv(4096).decode() for _ in range(3)]
                assert time.monotonic() - started > 1.5  # once a second, not once a picture
                process.send_signal(signal.SIGTERM)
                while not heard[-1].startswith("STOPPING"):
                    heard.append(receiver.recv(4096).decode())
                process.communicate()
    assert heard[0].startswith("READY=1\n")
    assert set(heard[1:-1]) == {"WATCHDOG=1"}
    assert process.returncode == 0
