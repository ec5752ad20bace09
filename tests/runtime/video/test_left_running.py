"""A run that is left alone: its camera, its engine, its disk and its clock fail, as real processes see it."""

from __future__ import annotations

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
from camera_runs import check_numbering, lines_of, run_camera, spots
from http_camera import HttpCamera
from networks import spot_picture, tiny_graph_of
from onnx import TensorProto, helper, numpy_helper
from processes import environment, line, posec, start
from tiny_bundles import write_tiny_bundle
from video_files import jpeg

from toolkit.runtime.command.arguments import EXIT_ENGINE_FAILED, EXIT_OUTPUT_FAILED
from toolkit.runtime.video.black_pictures import BlackPictures
from toolkit.runtime.video.recording.line_file import LINES
from toolkit.runtime.video.recording.output_error import OutputError
from toolkit.runtime.video.recording.writers import Recording
from toolkit.runtime.video.settings import RecordingSettings

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


@pytest.mark.slow
def test_a_run_reports_black_pictures_and_goes_on(bundle, tmp_path):
    dark = [jpeg(np.zeros((48, 64, 3), np.uint8))]
    done = run_camera(bundle, [dark * 250 + spots(20)], "-o", tmp_path / "out", every_s=0.05)
    assert done.returncode == 3, done.stderr
    assert done.stderr.count("has sent black pictures for 10 s; check the lens cap") == 1
    assert done.stderr.count("no longer sends black pictures") == 1
    assert len(lines_of(tmp_path / "out" / LINES)[-1]["scores"]) == 1


def test_a_camera_that_is_away_is_tried_after_growing_pauses(bundle):
    with HttpCamera([spots(20)]) as camera:
        done = posec("run", bundle, "--source", camera.url, "--retry", 8)
        asked = np.array(camera.asked)
    assert done.returncode == 3, done.stderr
    # cv2 asks more than once each time it opens an address.
    attempts = asked[np.flatnonzero(np.diff(asked, prepend=0) > 0.5)]
    second, third = np.diff(attempts)[1:3]
    assert 1.9 < second < third / 1.4


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


def test_an_engine_error_on_a_file_ends_the_run_at_once(fragile, tmp_path):
    cv2.imwrite(str(tmp_path / "white.png"), np.full((64, 96, 3), 255, np.uint8))
    done = posec("run", fragile, "--source", tmp_path / "white.png")
    assert done.returncode == EXIT_ENGINE_FAILED
    assert "trying again" not in done.stderr


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


def remove_lines(out):
    (out / LINES).unlink()


def move_lines(out):
    (out / LINES).rename(out.parent / "taken.jsonl")


def replace_lines(out):
    (out / LINES).rename(out.parent / "taken.jsonl")
    (out / LINES).write_text("")


def remove_folder(out):
    shutil.rmtree(out)


def move_folder(out):
    out.rename(out.parent / "elsewhere")


def make_folder_anew(out):
    out.rename(out.parent / "elsewhere")
    out.mkdir()


def remove_manifest(out):
    (out / "recording.json").unlink()


def remove_clip(out):
    (out / "overlay.mkv").unlink()


@pytest.mark.parametrize("taken", [move_lines, remove_folder, remove_clip])
def test_a_recording_that_is_taken_away_ends_the_run_with_its_own_status(bundle, tmp_path, taken):
    out = tmp_path / "out"
    options = [] if taken is remove_clip else ["--no-overlay"]
    with (
        HttpCamera([spots(3000)], 0.01) as camera,
        start("run", bundle, "--source", camera.url, "-o", out, "--json", *options) as process,
    ):
        for _ in range(12):
            process.stdout.readline()
        taken(out)
        error = process.communicate(timeout=60)[1]
    assert process.returncode == EXIT_OUTPUT_FAILED, error
    assert error.count("was removed or moved while it was written") == 1
    assert "Traceback" not in error
    assert "are kept in" not in error


TAKEN = [remove_lines, move_lines, replace_lines, remove_folder, move_folder, make_folder_anew]


@pytest.mark.parametrize("taken", [*TAKEN, remove_manifest])
def test_a_recording_that_is_taken_away_is_neither_continued_nor_finished(tmp_path, taken):
    out = tmp_path / "out"
    recording = Recording(str(out), RecordingSettings())
    recording.write_line("{}\n")
    taken(out)
    for use in (lambda: recording.write_line("{}\n"), lambda: recording.close({})):
        with pytest.raises(OutputError, match="was removed or moved"):
            use()
