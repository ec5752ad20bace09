"""A run as a process: its recording survives any end, is locked, and replaces no files of the user."""

import json
import os
import signal
import subprocess
import time

import cv2
import numpy as np
import pytest
from networks import spot_picture
from processes import environment, line, posec, start
from tiny_bundles import write_tiny_bundle

import toolkit.runtime.__main__ as board
import toolkit.runtime.command.run
from toolkit.commands.interface.inputs import SAMPLES
from toolkit.runtime.video.recording.clip import CLIP
from toolkit.runtime.video.recording.line_file import LINES
from toolkit.runtime.video.recording.recording_folder import MANIFEST

PICTURES = 2000


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "bundle").folder


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("films") / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    for number in range(PICTURES):
        writer.write(np.full((48, 64, 3), number % 256, np.uint8))
    writer.release()
    return path


@pytest.fixture
def looking(bundle, film, tmp_path):
    """A process that works through a long clip, and the folder that it records in."""
    with start(bundle, "--source", film, "-o", tmp_path / "out", module="toolkit.runtime") as process:
        yield process, tmp_path / "out"
        process.kill()


@pytest.fixture
def scene(tmp_path):
    cv2.imwrite(str(tmp_path / "scene.png"), spot_picture(2, seed=2))
    return tmp_path / "scene.png"


def frames_of(clip):
    capture, count = cv2.VideoCapture(str(clip)), 0
    while capture.read()[0]:
        count += 1
    return count


def recorded(out):
    """Return the kept lines; the clip has as many frames, except for the picture of the interrupt."""
    kept = (out / LINES).read_text().splitlines(keepends=True)
    assert abs(frames_of(out / CLIP) - len(kept)) <= 1
    assert all(json.loads(line)["picture"] == f"{number:06d}" for number, line in enumerate(kept))
    return kept


def read_lines(process, count):
    return [process.stdout.readline() for _ in range(count)]


def test_who_stops_reading_ends_it_and_what_was_recorded_is_kept(looking):
    process, out = looking
    read = read_lines(process, 20)
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait() == 0
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    kept = recorded(out)
    assert kept[:20] == read
    assert len(kept) < PICTURES


def test_being_stopped_while_the_model_loads_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(
        toolkit.runtime.command.run, "load", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM)
    )
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        assert board.main(["bundle", "--source", "0"]) == 2
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert capsys.readouterr().err == "interrupted before the first picture\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_service_that_is_stopped_keeps_what_it_recorded(looking, number):
    process, out = looking
    read = read_lines(process, 20)
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in errors
    kept = recorded(out)
    assert kept[:20] == read
    assert len(kept) < PICTURES


def test_a_killed_run_leaves_whole_lines_and_a_readable_clip_which_the_next_one_keeps_aside(
    bundle, scene, tmp_path
):
    out = tmp_path / "out"
    with start("run", bundle, "--source", SAMPLES / "clip.mp4", "-o", out, "--json") as process:
        read = read_lines(process, 95)
        process.kill()
    kept = (out / LINES).read_text().splitlines(keepends=True)
    assert kept[: len(read)] == read
    assert frames_of(out / CLIP) > 0
    for number in (1, 2):
        done = posec("run", bundle, "--source", scene, "-o", out, *["--overwrite"] * (number - 1))
        assert done.returncode == 0, done.stderr
        assert ("cut off" in done.stderr) is (number == 1)
        assert (out / "interrupted-001" / LINES).read_text().splitlines(keepends=True) == kept
        assert frames_of(out / "interrupted-001" / CLIP) > 0
        assert sorted(os.listdir(out)) == ["interrupted-001", LINES, MANIFEST, "scene.jpg"]


def test_a_second_run_into_the_folder_of_a_running_one_is_refused(looking, bundle, scene):
    process, out = looking
    read_lines(process, 3)
    for options in ([], ["--overwrite"]):
        done = posec("run", bundle, "--source", scene, "-o", out, *options)
        assert done.returncode == 2
        assert "another process is recording in" in done.stderr
    process.send_signal(signal.SIGTERM)
    process.communicate()
    recorded(out)


@pytest.mark.parametrize("module", ["toolkit", "toolkit.runtime"])
def test_a_finished_recording_is_replaced_only_when_asked(bundle, scene, film, tmp_path, module):
    words = ["run"] * (module == "toolkit")
    line = [*words, bundle, "-o", tmp_path / "out", "--source"]
    assert posec(*line, film, "--most", 3, module=module).returncode == 0
    refused = posec(*line, scene, module=module)
    assert refused.returncode == 2
    assert "pass --overwrite" in refused.stderr
    missing = posec(*line, tmp_path / "nothing", "--overwrite", module=module)
    assert missing.returncode == 2
    assert len(recorded(tmp_path / "out")) == 3  # the earlier one stays until there is a result
    assert posec(*line, scene, "--overwrite", module=module).returncode == 0
    assert sorted(os.listdir(tmp_path / "out")) == [LINES, MANIFEST, "scene.jpg"]


@pytest.mark.parametrize(
    "theirs", ["thesis.txt", "photo.jpg", "overlay.mkv", LINES, MANIFEST, "folder/notes.txt"]
)
@pytest.mark.parametrize("recorded_before", [False, True])
def test_what_no_run_wrote_is_never_removed(bundle, scene, tmp_path, theirs, recorded_before):
    out = tmp_path / "out"
    if recorded_before:
        assert posec("run", bundle, "--source", scene, "-o", out).returncode == 0
    (out / theirs).parent.mkdir(parents=True, exist_ok=True)
    (out / theirs).write_text("mine, and long enough to have another size" * 99)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    done = posec("run", bundle, "--source", scene, "-o", out, "--overwrite")
    assert done.returncode == 2
    assert f"'{theirs.partition('/')[0]}'" in done.stderr
    assert "name another folder" in done.stderr
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_recorded_file_that_was_edited_is_not_removed(bundle, scene, tmp_path):
    out = tmp_path / "out"
    assert posec("run", bundle, "--source", scene, "-o", out).returncode == 0
    content = (out / "scene.jpg").read_bytes()[::-1]
    (out / "scene.jpg").write_bytes(content)
    os.utime(out / "scene.jpg", (time.time() + 9, time.time() + 9))
    done = posec("run", bundle, "--source", scene, "-o", out, "--overwrite")
    assert done.returncode == 2
    assert (out / "scene.jpg").read_bytes() == content


def test_the_folder_of_the_source_and_its_parent_are_not_replaced(bundle, scene, tmp_path):
    for out in (tmp_path, "..", "."):
        (tmp_path / "inside").mkdir(exist_ok=True)
        done = posec(
            "run",
            bundle,
            "--source",
            scene,
            "-o",
            out,
            "--overwrite",
            cwd=tmp_path / "inside" if out == ".." else tmp_path,
        )
        assert done.returncode == 2
        assert scene.exists()
    assert posec("run", bundle, "--source", tmp_path, "-o", tmp_path / "out").returncode == 0
    done = posec(
        "run", bundle, "--source", tmp_path / "out" / "scene.jpg", "-o", tmp_path / "out", "--overwrite"
    )
    assert "the source lies in the output folder" in done.stderr
    assert (tmp_path / "out" / "scene.jpg").exists()


def test_an_empty_folder_is_recorded_in(bundle, scene, tmp_path):
    (tmp_path / "empty").mkdir()
    done = posec("run", bundle, "--source", scene, "-o", tmp_path / "empty")
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path / "empty")) == [LINES, MANIFEST, "scene.jpg"]


def test_the_board_s_command_records_in_an_empty_current_folder(bundle, scene, tmp_path):
    (tmp_path / "empty").mkdir()
    arguments = (bundle, "--source", scene, "-o", ".")
    done = posec(*arguments, module="toolkit.runtime", cwd=tmp_path / "empty")
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path / "empty")) == [LINES, MANIFEST, "scene.jpg"]


def test_a_picture_that_does_not_fit_is_skipped_and_counted(bundle, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("0.png", "2.png"):
        cv2.imwrite(str(tmp_path / "in" / name), spot_picture(2, seed=2))
    cv2.imwrite(str(tmp_path / "in" / "1.png"), np.zeros((60, 8000, 3), np.uint8))
    done = posec("run", bundle, "--source", tmp_path / "in", "-o", tmp_path / "out")
    assert done.returncode == 0
    assert "skipped: '1.png'" in done.stderr
    assert "2 pictures, 1 skipped" in done.stderr
    assert sorted(os.listdir(tmp_path / "out")) == ["0.jpg", "2.jpg", LINES, MANIFEST]
    assert (
        posec("run", bundle, "--source", tmp_path / "in" / "1.png", "-o", tmp_path / "none").returncode == 2
    )
    assert not (tmp_path / "none").exists()


def test_pictures_of_one_stem_have_their_own_overlays(bundle, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.bmp", "a.jpg", "a.png"):
        cv2.imwrite(str(tmp_path / "in" / name), spot_picture(1, seed=2))
    assert posec("run", bundle, "--source", tmp_path / "in", "-o", tmp_path / "out").returncode == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["a.jpg", "a.jpg.jpg", "a.png.jpg", LINES, MANIFEST]


def test_a_full_disk_keeps_whole_lines(bundle, film, tmp_path):
    limit = [
        "sh",
        "-c",
        'ulimit -f 40; exec "$@"',
        "sh",
    ]  # blocks a file may have; Python turns the signal into an error
    command = [*limit, *line("run", bundle, "--source", film, "-o", tmp_path / "out", "--no-overlay")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert "pictures recorded so far are kept" in done.stderr
    text = (tmp_path / "out" / LINES).read_text()
    assert text.endswith("\n")
    assert [json.loads(line)["picture"] for line in text.splitlines()][:2] == ["000000", "000001"]


@pytest.mark.parametrize("options", [[], ["--no-overlap"]])
def test_people_are_the_same_with_and_without_overlap(bundle, film, tmp_path, options):
    done = posec("run", bundle, "--source", film, "--most", 30, "--json", *options)
    assert done.returncode == 0
    assert "latency" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["picture"] for line in lines] == [f"{number:06d}" for number in range(30)]
    assert [line["seconds"] for line in lines] == pytest.approx(
        [number / 10 for number in range(30)], abs=1e-3
    )


def test_a_pipe_without_a_writer_can_be_interrupted(bundle, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with start("run", bundle, "--source", tmp_path / "pipe") as process:
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "Traceback" not in errors
