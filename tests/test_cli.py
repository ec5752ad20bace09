"""The command as a user gives it: the whole way on a tiny network, and every bad request as one sentence and exit status 2."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from toolkit.cli import COMMANDS, main, parser
from toolkit.demo import demo_lines

README = (Path(__file__).parents[1] / "README.md").read_text()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    from networks import spot_picture

    folder = tmp_path_factory.mktemp("pictures")
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), spot_picture(1 + number % 3, seed=number))
    return folder


@pytest.fixture(scope="module")
def ranges(tiny_checkpoint, pictures, tmp_path_factory):
    path = tmp_path_factory.mktemp("ranges") / "calibration.json"
    assert main(["calibrate", str(tiny_checkpoint), "--frames", str(pictures), "-o", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def bundle(tiny_checkpoint, ranges, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "int8"
    line = [
        "export",
        str(tiny_checkpoint),
        "--target",
        "generic-cpu",
        "--precision",
        "int8",
        "--calibration",
        str(ranges),
        "-o",
        str(folder),
    ]
    assert main(line) == 0
    return folder


def refusal(capsys, *line) -> str:
    """Return the one line that a refused request prints."""
    assert main([str(word) for word in line]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    said = [text for text in captured.err.splitlines() if text.startswith("posec ")]
    assert len(said) == 1, captured.err
    return said[0]


def test_targets_as_json(capsys):
    assert main(["targets", "--json"]) == 0
    known = {target["name"]: target for target in json.loads(capsys.readouterr().out)}
    assert {"intel-cpu", "generic-cpu"} <= set(known)
    assert "int8" in known["generic-cpu"]["precisions"]


def test_plan_does_nothing(tiny_checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", str(tiny_checkpoint), "--target", "generic-cpu", "--precision", "int8", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["target"] == "generic-cpu"
    assert planned["stays float"]
    assert not list(tmp_path.iterdir())


def test_run_writes_a_line_per_picture(bundle, pictures, tmp_path, capsys):
    assert main(["run", str(bundle), "--source", str(pictures), "-o", str(tmp_path / "found"), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["picture"] for line in lines] == ["0.png", "1.png", "2.png", "3.png"]
    assert (tmp_path / "found" / "people.jsonl").read_text().splitlines() == [json.dumps(line) for line in lines]
    assert sum(len(line["scores"]) for line in lines) > 0
    assert len(list((tmp_path / "found").glob("*.jpg"))) == 4


def test_a_picture_with_nobody_in_it_is_a_result(bundle, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "empty.png"), np.zeros((120, 160, 3), np.uint8))
    assert main(["run", str(bundle), "--source", str(tmp_path / "empty.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"] == []


def test_verify_exits_1_over_the_allowance(bundle, tiny_checkpoint, pictures, tmp_path, capsys):
    strict = tmp_path / "strict"
    shutil.copytree(bundle, strict)
    description = json.loads((strict / "bundle.json").read_text())
    description["allowed"] = {"drift_mm": 0.0, "people_lost": 0.0, "people_invented": 0.0}
    (strict / "bundle.json").write_text(json.dumps(description))
    line = ["--checkpoint", str(tiny_checkpoint), "--frames", str(pictures)]
    assert main(["verify", str(strict), *line]) == 1
    assert "FAIL" in capsys.readouterr().out
    main(["verify", str(bundle), *line, "--json"])
    assert json.loads(capsys.readouterr().out)["people"] > 0


def test_bench_and_report(bundle, pictures, tmp_path, capsys):
    main(
        [
            "bench",
            str(bundle),
            "--seconds",
            "0.5",
            "--source",
            str(pictures),
            "--no-accuracy",
            "--size",
            "160x120",
            "-o",
            str(tmp_path / "results"),
        ]
    )
    assert "generic-cpu" in next((tmp_path / "results").iterdir()).name
    assert main(["report", str(tmp_path / "results"), "-o", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "generic-cpu" in page
    assert not re.search(r"""(?:src|href)=["']https?:""", page)


def test_requests_that_cannot_be_met(tiny_checkpoint, bundle, pictures, ranges, tmp_path, capsys):
    export = ["export", tiny_checkpoint, "-o", tmp_path / "out", "--target"]
    assert "generic-cpu, intel-cpu" in refusal(capsys, *export, "jetson-nan")
    assert "offers float32" in refusal(capsys, *export, "generic-cpu", "--precision", "float16")
    assert "posec calibrate" in refusal(capsys, *export, "generic-cpu", "--precision", "int8")
    assert "posec calibrate" in refusal(capsys, *export, "generic-cpu", "--precision", "int8", "--calibration", tmp_path / "none.json")
    assert "is there already" in refusal(capsys, "export", tiny_checkpoint, "--target", "generic-cpu", "-o", bundle)
    assert "nowhere" in refusal(capsys, "export", tmp_path / "nowhere", "--target", "generic-cpu", "-o", tmp_path / "out")
    assert "nothing" in refusal(capsys, "verify", tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "empty" in refusal(capsys, "calibrate", tiny_checkpoint, "--frames", tmp_path / "empty", "-o", tmp_path / "c.json")
    assert "empty" in refusal(capsys, "run", bundle, "--source", tmp_path / "empty")
    assert "is there already" in refusal(capsys, "run", bundle, "--source", pictures, "-o", tmp_path / "empty")
    assert "unheard-of" in refusal(
        capsys, "calibrate", tiny_checkpoint, "--frames", pictures, "--observer", "unheard-of", "-o", tmp_path / "c.json"
    )
    assert "results" in refusal(capsys, "report", tmp_path / "empty", "-o", tmp_path / "r.html")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty"]


def test_a_flipped_byte_is_noticed(bundle, pictures, tmp_path, capsys):
    broken = tmp_path / "broken"
    shutil.copytree(bundle, broken)
    model = broken / json.loads((broken / "bundle.json").read_text())["model"]
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    assert "copy it again" in refusal(capsys, "run", broken, "--source", pictures)


def test_a_newer_bundle_is_refused(bundle, pictures, tmp_path, capsys):
    newer = tmp_path / "newer"
    shutil.copytree(bundle, newer)
    description = json.loads((newer / "bundle.json").read_text())
    (newer / "bundle.json").write_text(json.dumps({**description, "format": 99}))
    assert "99" in refusal(capsys, "run", newer, "--source", pictures)


def test_unreadable_pictures_among_good_ones_are_told_and_skipped(bundle, pictures, tmp_path, capsys):
    mixed = tmp_path / "mixed"
    shutil.copytree(pictures, mixed)
    (mixed / "broken.png").write_bytes(b"no picture")
    assert main(["run", str(bundle), "--source", str(mixed), "--json"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 4
    assert "broken.png" in captured.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_one_sentence(tiny_checkpoint, ranges):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "toolkit", "targets"], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
                              cwd=Path(__file__).parents[1], env={**os.environ, "PYTHONUNBUFFERED": "1"})  # fmt: skip
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert "example: posec " in capsys.readouterr().out


def test_the_readme_and_the_demo_quote_commands_that_exist(tmp_path):
    blocks = "".join(README.split("```")[1::2])
    quoted = [line.split("#")[0].split()[1:] for line in blocks.splitlines() if line.startswith("posec ")]
    assert len(quoted) >= 8
    for line in [*quoted, *demo_lines(str(tmp_path / "out"))]:
        assert parser().parse_args(line).command in COMMANDS
