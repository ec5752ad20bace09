"""Looking at one picture after the other, as a process whose lines somebody reads, or does not."""

import os
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
from tiny_bundles import write_tiny_bundle

import toolkit.runtime.__main__ as board
from toolkit.runtime.video.stream import CLIP, LINES

PICTURES = 2000


@pytest.fixture
def looking(tmp_path):
    """A process that looks at a long clip, and the folder that it writes."""
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, (64, 48))
    for number in range(PICTURES):
        writer.write(np.full((48, 64, 3), number % 256, np.uint8))
    writer.release()
    bundle, out = write_tiny_bundle(tmp_path / "bundle").folder, tmp_path / "out"
    line = [
        sys.executable,
        "-m",
        "toolkit.runtime",
        str(bundle),
        "--source",
        str(tmp_path / "v.avi"),
        "-o",
        str(out),
    ]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process, out
        process.kill()


def recorded(out):
    """Return the lines that were kept; the clip has as many pictures, but for the one at which it was stopped."""
    kept = (out / LINES).read_text().splitlines(keepends=True)
    assert abs(cv2.VideoCapture(str(out / CLIP)).get(cv2.CAP_PROP_FRAME_COUNT) - len(kept)) <= 1
    return kept


def test_who_stops_reading_ends_it_and_what_was_recorded_is_kept(looking):
    process, out = looking
    read = [process.stdout.readline() for _ in range(20)]
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait() == 0
    assert "Traceback" not in said
    assert "Exception ignored" not in said
    kept = recorded(out)
    assert kept[:20] == read
    assert len(kept) < PICTURES


def test_being_stopped_while_the_model_loads_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(board, "load", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert board.main(["bundle", "--source", "0"]) == 2
    finally:
        signal.signal(signal.SIGTERM, before)
    assert capsys.readouterr().err == "interrupted before the first picture\n"


def test_a_service_that_is_stopped_keeps_what_it_recorded(looking):
    process, out = looking
    read = [process.stdout.readline() for _ in range(20)]
    process.terminate()
    _, said = process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in said
    kept = recorded(out)
    assert kept[:20] == read
    assert len(kept) < PICTURES
