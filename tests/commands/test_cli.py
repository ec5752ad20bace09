"""The command as a user gives it: the whole way on a tiny network, and every bad request as one sentence and exit status 2."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from networks import spot_picture, tiny_graph_of
from processes import environment, line, posec
from tiny_bundles import spoiled, write_tiny_bundle

from calibration.observers import Observation
from toolkit.cli import main, parser
from toolkit.commands.arguments import COMMANDS, STAGES
from toolkit.commands.demo import GATHERED, claimed, demo_lines, gather, next_steps, note_files
from toolkit.errors import PosecError
from toolkit.runtime.engines.cpu import int8_saturates

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
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


def asked(capsys, *line, status=0):
    """Return the JSON that a command prints."""
    assert main([*map(str, line), "--json"]) == status
    return json.loads(capsys.readouterr().out)


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
    assert (
        main(["plan", str(tiny_checkpoint), "--target", "generic-cpu", "--precision", "int8", "--json"]) == 0
    )
    planned = json.loads(capsys.readouterr().out)
    assert planned["target"] == "generic-cpu"
    assert planned["stays float"]
    assert not list(tmp_path.iterdir())


def test_run_writes_a_line_per_picture(bundle, pictures, tmp_path, capsys):
    assert main(["run", str(bundle), "--source", str(pictures), "-o", str(tmp_path / "found"), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["picture"] for line in lines] == ["0.png", "1.png", "2.png", "3.png"]
    assert (tmp_path / "found" / "people.jsonl").read_text().splitlines() == [
        json.dumps(line) for line in lines
    ]
    assert sum(len(line["scores"]) for line in lines) > 0
    assert len(list((tmp_path / "found").glob("*.jpg"))) == 4


def test_a_picture_with_nobody_in_it_is_a_result(bundle, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "empty.png"), np.zeros((120, 160, 3), np.uint8))
    assert main(["run", str(bundle), "--source", str(tmp_path / "empty.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"] == []


def test_verify_exits_1_over_the_allowance(bundle, tiny_checkpoint, pictures, tmp_path, capsys):
    strict = changed(
        bundle, tmp_path / "strict", allowed={"drift_mm": 0.0, "people_lost": 0.0, "people_invented": 0.0}
    )
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
    assert ("integers are added up in a slower way" in capsys.readouterr().out) is int8_saturates()
    assert "generic-cpu" in next((tmp_path / "results").iterdir()).name
    assert main(["report", str(tmp_path / "results"), "-o", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "generic-cpu" in page
    assert not re.search(r"""(?:src|href)=["']https?:""", page)


def test_the_forecast_of_a_jetson_is_for_people_and_programs(tiny_checkpoint, capsys):
    line = ["plan", str(tiny_checkpoint), "--target"]
    planned = asked(capsys, *line, "jetson-orin-nano")
    assert planned["precision"] == "float16"  # the first that the board lists
    forecast = planned["forecast"]
    assert forecast["layers"]["float16"] > 10
    assert "this board has no DLA" in forecast["dla"]["why"]
    assert "--fp16" in forecast["trtexec"]
    assert main([*line, "jetson-agx-orin"]) == 0
    text = capsys.readouterr().out
    for words in (
        f"layers: float16 {forecast['layers']['float16']}\n",
        "cores: 2",
        "the DLA has no Cast",
        "memory_mb: weights",
        "trtexec --onnx=",
    ):
        assert words in text
    assert asked(capsys, *line, "jetson-orin-nano", "--precision", "int8")["forecast"] == {}


def test_a_plan_groups_layers_by_the_reason_that_they_share(tiny_checkpoint, ranges, capsys):
    line = [
        "plan",
        str(tiny_checkpoint),
        "--target",
        "generic-cpu",
        "--precision",
        "int8",
        "--calibration",
        str(ranges),
    ]
    assert main([*line, "--keep-float", "Conv_3", "Conv_8"]) == 0
    assert "kept float on request (2): Conv_3, Conv_8\n" in capsys.readouterr().out
    assert asked(capsys, *line, "--keep-float", "Conv_3")["stays float"]["Conv_3"] == "kept float on request"


def test_calibration_frames_are_looked_over(tiny_checkpoint, pictures, tmp_path, capsys):
    line = ["calibrate", tiny_checkpoint, "--frames", pictures, "-o", tmp_path / "c.json"]
    assert [finding["check"] for finding in asked(capsys, *line)["findings"]] == ["few"]
    assert asked(capsys, *line, "--no-lint")["findings"] == []
    (tmp_path / "c.json").unlink()
    said = refusal(capsys, *line, "--evaluation", pictures)
    assert "(overlap)" in said
    assert "--force" in said
    assert not list(tmp_path.iterdir())
    found = asked(capsys, *line, "--evaluation", pictures, "--force")
    assert [finding["check"] for finding in found["findings"]] == ["overlap", "few"]
    assert (tmp_path / "c.json").is_file()


def test_frames_are_chosen_by_coverage_the_same_way_from_the_same_seed(tiny_checkpoint, tmp_path, capsys):
    (tmp_path / "frames").mkdir()
    for number in range(12):
        cv2.imwrite(str(tmp_path / "frames" / f"{number:02d}.png"), spot_picture(number % 4, seed=number))
    line = [
        "calibrate",
        str(tiny_checkpoint),
        "--frames",
        str(tmp_path / "frames"),
        "--count",
        "5",
        "--no-lint",
        "-o",
    ]
    for name, options in {
        "a": ["coverage"],
        "b": ["coverage"],
        "c": ["coverage", "--seed", "3"],
        "d": ["random"],
    }.items():
        assert main([*line, str(tmp_path / name), "--choose", *options]) == 0
    capsys.readouterr()
    chosen = {name: json.loads((tmp_path / name).read_text())["frames_sha256"] for name in "abcd"}
    assert chosen["a"] == chosen["b"]
    assert len(chosen["a"]) == 5
    assert chosen["a"] != chosen["d"]


def test_two_halves_are_compared_and_what_was_interrupted_goes_on(
    tiny_checkpoint, tmp_path, capsys, monkeypatch
):
    (tmp_path / "frames").mkdir()
    for number in range(66):
        cv2.imwrite(
            str(tmp_path / "frames" / f"{number:02d}.png"),
            spot_picture(number % 4, seed=number) // (4 if number < 33 else 1),
        )
    line = [
        "calibrate",
        tiny_checkpoint,
        "--frames",
        tmp_path / "frames",
        "--force",
        "-o",
        tmp_path / "made" / "c.json",
    ]
    found = asked(capsys, *line)
    assert "halves" in {finding["check"] for finding in found["findings"]}
    whole = (tmp_path / "made" / "c.json").read_bytes()
    assert asked(capsys, *line, "--no-lint")["findings"] == []
    assert (tmp_path / "made" / "c.json").read_bytes() == whole
    (tmp_path / "made" / "c.json").unlink()

    add = Observation.add
    left = [(66 + 20) * found["tensors"]]  # in the midst of the last sweep

    def interrupted(self, values):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        add(self, values)

    monkeypatch.setattr(Observation, "add", interrupted)
    assert "interrupted" in refusal(capsys, *line)
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["c.json.unfinished"]
    monkeypatch.undo()
    assert main([str(word) for word in line]) == 0
    assert "one half" not in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["c.json"]
    assert (tmp_path / "made" / "c.json").read_bytes() == whole


def test_a_listing_names_the_frames(tiny_checkpoint, pictures, tmp_path, capsys):
    (tmp_path / "chosen.txt").write_text(f"# two of them\n{pictures / '1.png'}\n{pictures / '2.png'}\n")
    line = ["calibrate", tiny_checkpoint, "--frames", tmp_path / "chosen.txt", "-o", tmp_path / "c.json"]
    assert asked(capsys, *line)["frames"] == 2


def test_observers_are_compared_in_drift(tiny_checkpoint, pictures, tmp_path, capsys):
    (tmp_path / "judged").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / "judged" / f"{number}.png"), spot_picture(number + 1, seed=40 + number))
    line = ["calibrate", tiny_checkpoint, "--frames", pictures, "--compare", "--judge", tmp_path / "judged"]
    found = asked(capsys, *line)
    assert set(found["drifts"]) == {
        "min-max",
        "moving-average",
        "percentile",
        "entropy",
        "mean-squared-error",
    }
    assert {drift["people"] for drift in found["drifts"].values()} == {6}
    assert "written" not in found
    assert main([*map(str, line), "-o", str(tmp_path / "best.json")]) == 0
    text = capsys.readouterr().out
    assert f"best: {found['best']}" in text
    assert json.loads((tmp_path / "best.json").read_text())["observer"] == found["best"]
    assert "(overlap)" in refusal(
        capsys, "calibrate", tiny_checkpoint, "--frames", pictures, "--compare", "--judge", pictures
    )
    assert "jetson-nano" in refusal(capsys, *line, "--target", "jetson-nano")


def test_blame_names_heads_and_layers(tiny_checkpoint, ranges, pictures, tmp_path, capsys):
    line = [
        "blame",
        tiny_checkpoint,
        "--target",
        "generic-cpu",
        "--calibration",
        ranges,
        "--frames",
        pictures,
        "--most",
        3,
    ]
    found = asked(capsys, *line, "-o", tmp_path / "blame.svg")
    assert set(found["heads"]) == {"centre", "offset", "embedding", "rotation", "depth"}
    costs = [layer["int8_only"]["drift_mm"] for layer in found["layers"]]
    assert "float_only" not in found["layers"][0]
    assert (
        asked(capsys, *line, "--spare")["layers"][0]["float_only"]["drift_mm"] != found["whole"]["drift_mm"]
    )
    assert costs == sorted(costs, reverse=True)
    drawing = (tmp_path / "blame.svg").read_text()
    names = {
        element.text for element in ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")
    }
    assert {"head centre", *(layer["layer"] for layer in found["layers"][:3])} <= names
    assert found["layers"][3]["layer"] not in names
    assert main([*map(str, line), "--heads-only"]) == 0
    assert [row.split("  ")[0] for row in capsys.readouterr().out.splitlines()] == [
        "part",
        "all",
        *(f"head {head}" for head in found["heads"]),
    ]
    assert "jetson-nano" in refusal(
        capsys, "blame", tiny_checkpoint, "--target", "jetson-nano", "--calibration", ranges
    )


def test_auto_takes_the_lowest_rung_that_is_good_enough_and_the_report_shows_all(
    tiny_checkpoint, ranges, pictures, tmp_path, capsys
):
    line = [
        "export",
        tiny_checkpoint,
        "--precision",
        "auto",
        "--calibration",
        ranges,
        "--frames",
        pictures,
        "-o",
    ]
    found = asked(capsys, *line, tmp_path / "out", "--target", board(tmp_path, "loose", 1e6))
    assert found["taken"] == "int8"
    assert json.loads((tmp_path / "out.ladder.json").read_text()) == found
    assert json.loads((tmp_path / "out" / "bundle.json").read_text())["precision"] == "int8"
    results = tmp_path / "results"
    record = results / "strict.ladder.json"
    found = asked(
        capsys,
        *line,
        tmp_path / "none",
        "--target",
        board(tmp_path, "strict", 0),
        "--ladder",
        record,
        status=1,
    )
    assert found["taken"] is None
    assert [rung["precision"] for rung in found["rungs"]][-1] == "float32"
    assert not (tmp_path / "none").exists()
    measured = ["--seconds", "0.2", "--no-accuracy", "--size", "160x120", "--source"]
    main(["bench", str(tmp_path / "out"), *measured, str(pictures), "-o", str(results)])
    assert (
        main(
            [
                "report",
                str(results),
                "--ladder",
                str(tmp_path / "out.ladder.json"),
                "-o",
                str(tmp_path / "r.html"),
            ]
        )
        == 0
    )
    capsys.readouterr()
    page = (tmp_path / "r.html").read_text()
    assert "taken: int8" in page
    assert "no candidate keeps the limits" in page
    assert page.count('<td data-label="candidate">') == len(found["rungs"]) + 1
    (tmp_path / "bad.json").write_text('{"format": 1, "rungs": 3}')
    assert "is not a ladder" in refusal(
        capsys, "report", results, "--ladder", tmp_path / "bad.json", "-o", tmp_path / "r.html"
    )
    assert "no ladder" in refusal(
        capsys, "report", results, "--ladder", tmp_path / "nothing", "-o", tmp_path / "r.html"
    )
    assert "leave --keep-float out" in refusal(
        capsys, *line, tmp_path / "x", "--target", "generic-cpu", "--keep-float", "Conv_3"
    )
    assert "needs ranges" in refusal(capsys, *line[:4], "-o", tmp_path / "x", "--target", "generic-cpu")
    assert "is there already" in refusal(capsys, *line, tmp_path / "out", "--target", "generic-cpu")


def board(folder: Path, name: str, drift_mm: float) -> Path:
    """Write a target of ONNX Runtime with an allowance of its own, and return its file; below 0 mm of float32 nothing passes."""
    path = folder / f"{name}.toml"
    limits = f"{{drift_mm = {drift_mm}, people_lost = {drift_mm}, people_invented = {drift_mm}}}"
    path.write_text(f"""title = "{name}"
backend = "onnxruntime"
precisions = ["float32", "int8"]
[refusals]
float16 = "not here"
[allowed]
float32 = {limits}
int8 = {limits}
""")
    return path


def test_tensorrt_check_names_the_rules_that_a_model_breaks(tiny_checkpoint, bundle, tmp_path, capsys):
    sound = tiny_checkpoint / "model.onnx"
    assert asked(capsys, "tensorrt-check", sound, "--tensorrt", "8.6", "10.3") == {"8.6": [], "10.3": []}
    found = asked(capsys, "tensorrt-check", bundle / "model.onnx", "--tensorrt", "8.6", status=1)
    assert "zero point" in {finding["rule"] for finding in found["8.6"]}
    assert main(["tensorrt-check", str(bundle / "model.onnx"), "--tensorrt", "8.6"]) == 1
    assert f"TensorRT 8.6: {len(found['8.6'])} rules broken" in capsys.readouterr().out
    assert "known: 8.2" in refusal(capsys, "tensorrt-check", sound, "--tensorrt", "7.1")
    (tmp_path / "no.onnx").write_bytes(b"no model")
    assert "is not a readable ONNX model" in refusal(
        capsys, "tensorrt-check", tmp_path / "no.onnx", "--tensorrt", "8.6"
    )


# What ssh would do, with a folder of this machine as the board: options up to `--`, the host, one string for the login shell.
SSH = """#!/bin/sh
for word in "$@"; do [ "$word" = -O ] && exit 0; done
while [ "$1" != -- ]; do shift; done
[ "$2" = pi@board ] || {{ echo "ssh: Could not resolve hostname $2" >&2; exit 255; }}
cd {home} && HOME={home} exec sh -c "$3"
"""


def test_deploy_brings_a_bundle_to_a_board_and_its_result_home(bundle, tmp_path, capsys):
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "ssh").write_text(SSH.format(home=home))
    (tmp_path / "ssh").chmod(0o755)
    loose = changed(
        bundle, tmp_path / "pi5", allowed={"drift_mm": 1e6, "people_lost": 1.0, "people_invented": 1e6}
    )
    rest = [
        "--ssh",
        tmp_path / "ssh",
        "--python",
        sys.executable,
        "--seconds",
        "0.1",
        "-o",
        tmp_path / "results",
    ]
    done = asked(capsys, "deploy", loose, "pi@board", *rest)
    assert (done["folder"], done["status"], done["verdict"]) == ("posec/pi5", "ran", "accepted")
    assert Path(done["result"]).is_file()
    assert (home / "posec/pi5/bundle/bundle.json").is_file()
    strict = changed(
        bundle,
        tmp_path / "strict" / "pi5",
        allowed={"drift_mm": 0.0, "people_lost": 0.0, "people_invented": 0.0},
    )
    assert main([str(word) for word in ("deploy", strict, "pi@board", *rest)]) == 1
    assert "pi@board: rejected" in capsys.readouterr().out
    assert main([str(word) for word in ("deploy", loose, "pi@board", *rest, "--clean-up")]) == 0
    assert "removed again" in capsys.readouterr().out
    assert (home / "posec/pi5/bundle/bundle.json").is_file()
    assert "no connection to 'pi@elsewhere'" in refusal(capsys, "deploy", loose, "pi@elsewhere", *rest)
    assert "nothing" in refusal(capsys, "deploy", tmp_path / "nothing", "pi@board", *rest)


def changed(bundle: Path, folder: Path, **fields) -> Path:
    """Return a copy of a bundle whose description differs."""
    shutil.copytree(bundle, folder)
    description = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**description, **fields}))
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_of_the_training_says_what_it_takes(stage, capsys):
    pytest.importorskip("torch")
    if stage in ("bodies", "samples", "scenes"):
        pytest.importorskip("anny")
    with pytest.raises(SystemExit, match="0"):
        main(["train", stage, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(f"usage: posec train {stage} ")
    assert "--out" in said
    assert f"example: posec train {stage} " in said


def test_requests_that_cannot_be_met(tiny_checkpoint, bundle, pictures, ranges, tmp_path, capsys):
    export = ["export", tiny_checkpoint, "-o", tmp_path / "out", "--target"]
    assert "generic-cpu, intel-cpu" in refusal(capsys, *export, "jetson-nan")
    assert "offers float32" in refusal(capsys, *export, "generic-cpu", "--precision", "float16")
    assert "posec calibrate" in refusal(capsys, *export, "generic-cpu", "--precision", "int8")
    assert "posec calibrate" in refusal(
        capsys, *export, "generic-cpu", "--precision", "int8", "--calibration", tmp_path / "none.json"
    )
    assert "is there already" in refusal(
        capsys, "export", tiny_checkpoint, "--target", "generic-cpu", "-o", bundle
    )
    assert "nowhere" in refusal(
        capsys, "export", tmp_path / "nowhere", "--target", "generic-cpu", "-o", tmp_path / "out"
    )
    assert "nothing" in refusal(capsys, "verify", tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "empty" in refusal(
        capsys, "calibrate", tiny_checkpoint, "--frames", tmp_path / "empty", "-o", tmp_path / "c.json"
    )
    assert "empty" in refusal(capsys, "run", bundle, "--source", tmp_path / "empty")
    assert "did not write" in refusal(capsys, "run", bundle, "--source", pictures, "-o", pictures)
    assert "the source is empty" in refusal(capsys, "run", bundle, "--source", "")
    assert "the source is empty" in refusal(capsys, "explain", bundle, "--source", "")
    assert "output folder is empty" in refusal(capsys, "run", bundle, "--source", pictures, "-o", "")
    assert "--retry" in refusal(capsys, "run", bundle, "--source", pictures, "--retry", "-1")
    assert "the folder of the demo is empty" in refusal(capsys, "demo", "--out", "")
    assert "unheard-of" in refusal(
        capsys,
        "calibrate",
        tiny_checkpoint,
        "--frames",
        pictures,
        "--observer",
        "unheard-of",
        "-o",
        tmp_path / "c.json",
    )
    assert "results" in refusal(capsys, "report", tmp_path / "empty", "-o", tmp_path / "r.html")
    assert "give one with -o" in refusal(capsys, "calibrate", tiny_checkpoint, "--frames", pictures)
    assert "needs --count" in refusal(
        capsys,
        "calibrate",
        tiny_checkpoint,
        "--frames",
        pictures,
        "--choose",
        "coverage",
        "-o",
        tmp_path / "c",
    )
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
    newer = changed(bundle, tmp_path / "newer", format=99)
    assert "99" in refusal(capsys, "run", newer, "--source", pictures)


def test_unreadable_pictures_among_good_ones_are_told_and_skipped(bundle, pictures, tmp_path, capsys):
    mixed = tmp_path / "mixed"
    shutil.copytree(pictures, mixed)
    (mixed / "broken.png").write_bytes(b"no picture")
    assert main(["run", str(bundle), "--source", str(mixed), "--json"]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 4
    assert "broken.png" in captured.err


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many"])
def test_a_number_of_pictures_starts_at_one(bundle, pictures, value, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["run", str(bundle), "--source", str(pictures), "--most", value])
    assert "a number from 1 is needed" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
@pytest.mark.parametrize(
    "words", [["targets"], ["targets", "--json"], ["run", "BUNDLE", "--source", "PICTURES", "--json"]]
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_sentence(bundle, pictures, words, unbuffered, monkeypatch):
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    with open("/dev/full", "w") as full:
        done = posec(
            *(word.replace("BUNDLE", str(bundle)).replace("PICTURES", str(pictures)) for word in words),
            stdout=full,
        )
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def closed(streams: str, *words) -> subprocess.CompletedProcess:
    """Run the command from a shell that closes some of its streams."""
    script = f'exec "$@" {streams}'
    return subprocess.run(
        ["sh", "-c", script, "sh", *line(*words)],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
    )


def test_closed_streams_end_nothing_that_does_not_need_them(bundle, pictures, tmp_path):
    words = ["run", bundle, "--source", pictures, "--json"]
    done = closed("2>&-", *words)
    assert done.returncode == 0
    assert [json.loads(text)["picture"] for text in done.stdout.splitlines()] == [
        "0.png",
        "1.png",
        "2.png",
        "3.png",
    ]
    assert closed("<&- 2>&- >&-", *words[:-1], "-o", tmp_path / "found").returncode == 0
    assert len((tmp_path / "found" / "people.jsonl").read_text().splitlines()) == 4
    for others in (words, ["targets"], ["explain", bundle, "--source", pictures]):
        done = closed(">&-", *others)
        assert done.returncode == 2
        assert "standard output is closed" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("words", [["targets"], ["--help"], ["explain", "BUNDLE", "--source", "PICTURES"]])
def test_a_reader_that_has_gone_is_no_error(bundle, pictures, words):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as gone:
        done = posec(
            *(word.replace("BUNDLE", str(bundle)).replace("PICTURES", str(pictures)) for word in words),
            stdout=gone,
        )
    assert done.returncode == 0
    assert done.stderr == ""


def test_control_characters_reach_no_terminal(bundle, pictures, tmp_path):
    name = "a\x1b]0;title\x07\x1b[31mb.png"
    (tmp_path / name).write_bytes(b"broken")
    shutil.copy(pictures / "0.png", tmp_path / f"{name}.png")
    for words in (
        ["run", bundle, "--source", tmp_path],
        ["run", bundle, "--source", tmp_path / name],
        ["run", tmp_path / name, "--source", "0"],
        ["verify", tmp_path / name],
        ["run", bundle, "--source", pictures, "--\x1b[31m"],
        ["run", bundle, "--source", pictures, "--most", "\x1b[31m"],
    ):
        done = posec(*words)
        assert "\\x1b[31m" in done.stderr, done.stderr
        assert "\x1b" not in done.stderr + done.stdout
        assert "\x07" not in done.stderr + done.stdout


def test_no_number_that_json_lacks_is_written(tiny_checkpoint, pictures, tmp_path):
    graph = tiny_graph_of()
    broken = write_tiny_bundle(tmp_path / "broken", spoiled(graph, "depth", float("nan"))).folder
    done = posec("run", broken, "--source", pictures, "-o", tmp_path / "found", "--json")
    assert "NaN" not in done.stdout
    assert "Infinity" not in done.stdout
    assert "Traceback" not in done.stderr
    assert "finite" in done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert "example: posec " in capsys.readouterr().out


def test_the_readme_and_the_demo_quote_commands_that_exist(tmp_path):
    blocks = "".join(README.split("```")[1::2])
    quoted = [text.split("#")[0].split()[1:] for text in blocks.splitlines() if text.startswith("posec ")]
    assert len(quoted) >= 8
    for words in [*quoted, *demo_lines(str(tmp_path / "out"))]:
        assert parser().parse_args(words).command in COMMANDS


def clear(out: str) -> None:
    with claimed(out):
        pass


def test_one_demo_runs_in_a_folder_at_a_time(tmp_path):
    with claimed(str(tmp_path)):
        (tmp_path / "report.html").write_text("of the first")
        note_files(str(tmp_path))
        done = posec("demo", "--out", tmp_path)
        assert done.returncode == 2
        assert "another demo is running" in done.stderr
    assert (tmp_path / "report.html").exists()


def test_the_demo_puts_what_it_found_where_it_says_and_replaces_nothing_else(tmp_path):
    out = str(tmp_path / "out")
    clear(out)
    asked_for = {words[words.index("-o") + 1] for words in demo_lines(out) if "-o" in words}
    for name in GATHERED:
        source = Path(out) / name
        assert str(source.parent) in asked_for
        source.parent.mkdir(exist_ok=True)
        source.write_text(name)
    gather(out)
    note_files(out)
    assert sorted(path.name for path in Path(out).iterdir()) == [
        "clip.mkv",
        "demo.json",
        "people.jsonl",
        "picture.jpg",
    ]
    assert all(f"{out}/{name}" in next_steps(out) for name in GATHERED.values())
    (Path(out) / "results").mkdir()
    for name in ("mine", "results/mine.json"):
        (Path(out) / name).write_text("not the demo's")
    for _ in range(3):
        clear(out)
        note_files(out)
        assert sorted(path.name for path in Path(out).rglob("*")) == [
            "demo.json",
            "mine",
            "mine.json",
            "results",
        ]
    (Path(out) / "report.html").write_text("of the demo")
    note_files(out)
    (Path(out) / "report.html").write_text("edited by the user")
    with pytest.raises(PosecError, match="was changed after the demo"):
        clear(out)


@pytest.mark.parametrize(
    "name",
    [
        "results/thesis.txt",
        "calibration.json",
        "report.html",
        "clip.mkv",
        "intel-cpu-int8/bundle.json",
        "other",
    ],
)
def test_the_demo_removes_nothing_from_a_folder_that_is_not_its_own(tmp_path, name):
    path = tmp_path / "work" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    for out in (tmp_path / "work", "."):
        done = posec("demo", "--out", out, cwd=tmp_path / "work")
        assert done.returncode == 2
        assert "which no demo wrote; name another folder" in done.stderr
    assert [found for found in (tmp_path / "work").rglob("*") if found.is_file()] == [path]
    assert path.read_text() == "mine"
