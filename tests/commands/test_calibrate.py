"""calibrate: frames chosen and checked, ranges collected, observers compared."""

from __future__ import annotations

import json

import cv2
import pytest
from command_line import json_of, refusal, run
from networks import spot_picture

from calibration import OBSERVERS
from calibration.observers import Observation


def test_calibration_frames_are_checked(tiny_checkpoint, pictures, tmp_path, capsys):
    line = ["calibrate", tiny_checkpoint, "--frames", pictures, "-o", tmp_path / "c.json"]
    assert [finding["check"] for finding in json_of(capsys, *line)["findings"]] == ["few"]
    assert json_of(capsys, *line, "--no-lint")["findings"] == []
    (tmp_path / "c.json").unlink()
    message = refusal(capsys, *line, "--evaluation", pictures)
    assert "(overlap)" in message
    assert "--force" in message
    assert not list(tmp_path.iterdir())
    found = json_of(capsys, *line, "--evaluation", pictures, "--force")
    assert [finding["check"] for finding in found["findings"]] == ["overlap", "few"]
    assert (tmp_path / "c.json").is_file()


def test_equal_seeds_choose_equal_frames_by_coverage(tiny_checkpoint, tmp_path):
    (tmp_path / "frames").mkdir()
    for number in range(12):
        cv2.imwrite(str(tmp_path / "frames" / f"{number:02d}.png"), spot_picture(number % 4, seed=number))
    line = ["calibrate", tiny_checkpoint, "--frames", tmp_path / "frames", "--count", 5, "--no-lint"]
    chosen = []
    for choice in ("coverage", "coverage", "random"):
        assert run(*line, "--choose", choice, "--seed", 3, "-o", tmp_path / "c.json") == 0
        chosen.append(json.loads((tmp_path / "c.json").read_text())["frames_sha256"])
    first, again, random = chosen
    assert first == again
    assert len(first) == 5
    assert first != random


def test_halves_are_compared_and_an_interrupted_calibration_resumes(
    tiny_checkpoint, tmp_path, capsys, monkeypatch
):
    (tmp_path / "frames").mkdir()
    for number in range(66):
        picture = spot_picture(number % 4, seed=number) // (4 if number < 33 else 1)
        cv2.imwrite(str(tmp_path / "frames" / f"{number:02d}.png"), picture)
    out = ["-o", tmp_path / "made" / "c.json"]
    line = ["calibrate", tiny_checkpoint, "--frames", tmp_path / "frames", "--force", *out]
    found = json_of(capsys, *line)
    assert "halves" in {finding["check"] for finding in found["findings"]}
    whole = (tmp_path / "made" / "c.json").read_bytes()
    assert json_of(capsys, *line, "--no-lint")["findings"] == []
    assert (tmp_path / "made" / "c.json").read_bytes() == whole
    (tmp_path / "made" / "c.json").unlink()

    add = Observation.add
    left = [(66 + 20) * found["tensors"]]  # in the middle of the last sweep

    def interrupted(self, values):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        add(self, values)

    monkeypatch.setattr(Observation, "add", interrupted)
    assert "interrupted" in refusal(capsys, *line)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["c.json.unfinished"]
    monkeypatch.undo()
    assert run(*line) == 0
    assert "first half" not in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["c.json"]
    assert (tmp_path / "made" / "c.json").read_bytes() == whole


def test_a_listing_names_the_frames(tiny_checkpoint, pictures, tmp_path, capsys):
    (tmp_path / "chosen.txt").write_text(f"# two of them\n{pictures / '1.png'}\n{pictures / '2.png'}\n")
    line = ["calibrate", tiny_checkpoint, "--frames", tmp_path / "chosen.txt", "-o", tmp_path / "c.json"]
    assert json_of(capsys, *line)["frames"] == 2


def test_observers_are_compared_by_drift(tiny_checkpoint, pictures, tmp_path, capsys):
    (tmp_path / "judged").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / "judged" / f"{number}.png"), spot_picture(number + 1, seed=40 + number))
    line = ["calibrate", tiny_checkpoint, "--frames", pictures, "--compare", "--judge", tmp_path / "judged"]
    found = json_of(capsys, *line)
    assert set(found["drifts"]) == set(OBSERVERS)
    assert {drift["people"] for drift in found["drifts"].values()} == {6}
    assert "written" not in found
    assert run(*line, "-o", str(tmp_path / "best.json")) == 0
    text = capsys.readouterr().out
    assert f"best: {found['best']}" in text
    assert json.loads((tmp_path / "best.json").read_text())["observer"] == found["best"]
    assert "(overlap)" in refusal(capsys, *line[:-1], pictures)
    assert "jetson-nano" in refusal(capsys, *line, "--target", "jetson-nano")


@pytest.mark.parametrize("source", ["rtsp://user:secret@127.0.0.1:1/live", "0", "picamera2", "nowhere", "-"])
def test_cameras_and_missing_files_are_no_frames(tiny_checkpoint, tmp_path, capsys, source):
    sentence = refusal(
        capsys, "calibrate", tiny_checkpoint, "--frames", source, "-o", tmp_path / "ranges.json"
    )
    assert "record those of a camera in a file first" in sentence
    assert source.replace("user:secret", "***") in sentence


def test_requests_that_cannot_be_met_write_nothing(tiny_checkpoint, pictures, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    line, out = ["calibrate", tiny_checkpoint, "--frames"], ["-o", tmp_path / "c.json"]
    assert "empty" in refusal(capsys, *line, tmp_path / "empty", *out)
    assert "unheard-of" in refusal(capsys, *line, pictures, "--observer", "unheard-of", *out)
    assert "give one with -o" in refusal(capsys, *line, pictures)
    assert "needs --count" in refusal(capsys, *line, pictures, "--choose", "coverage", *out)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
