"""export: bundles of one precision, and precision search."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import json_of, refusal, run


@pytest.fixture
def auto(tiny_checkpoint, ranges, pictures):
    line = ["export", tiny_checkpoint, "--precision", "auto", "--calibration", ranges]
    return [*line, "--frames", pictures]


def board(folder: Path, name: str, limit: float) -> Path:
    """Return the file of a target of ONNX Runtime with its own limits; no drift is below 0 mm."""
    path = folder / f"{name}.toml"
    limits = f"{{drift_mm = {limit}, people_lost = {limit}, people_invented = {limit}}}"
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


def test_auto_takes_the_lowest_precision_within_the_limits(auto, tmp_path, capsys):
    found = json_of(capsys, *auto, "-o", tmp_path / "out", "--target", board(tmp_path, "loose", 1e6))
    assert found["taken"] == "int8"
    assert json.loads((tmp_path / "out.candidates.json").read_text()) == found
    assert json.loads((tmp_path / "out" / "bundle.json").read_text())["precision"] == "int8"


@pytest.mark.parametrize("option", ["--candidates", "--ladder"])
def test_auto_exports_nothing_where_no_precision_is_within_the_limits(auto, option, tmp_path, capsys):
    strict, record = board(tmp_path, "strict", 0), tmp_path / "strict.json"
    found = json_of(capsys, *auto, "-o", tmp_path / "none", "--target", strict, option, record, status=1)
    assert found["taken"] is None
    assert [each["precision"] for each in found["rungs"]][-1] == "float32"
    assert json.loads(record.read_text()) == found
    assert not (tmp_path / "none").exists()


def test_auto_refuses_what_it_chooses_itself(auto, tiny_checkpoint, bundle, tmp_path, capsys):
    board = ["--target", "generic-cpu"]
    line = [*auto, "-o", tmp_path / "x", *board]
    assert "leave --keep-float out" in refusal(capsys, *line, "--keep-float", "Conv_3")
    without_ranges = ["export", tiny_checkpoint, "--precision", "auto", "-o", tmp_path / "x", *board]
    assert "needs ranges" in refusal(capsys, *without_ranges)
    assert "is there already" in refusal(capsys, *auto, "-o", bundle, *board)


def test_requests_that_cannot_be_met_write_nothing(tiny_checkpoint, bundle, tmp_path, capsys):
    export = ["export", tiny_checkpoint, "-o", tmp_path / "out", "--target"]
    assert "generic-cpu, intel-cpu" in refusal(capsys, *export, "jetson-nan")
    assert "offers float32" in refusal(capsys, *export, "generic-cpu", "--precision", "float16")
    int8 = [*export, "generic-cpu", "--precision", "int8"]
    assert "posec calibrate" in refusal(capsys, *int8)
    assert "posec calibrate" in refusal(capsys, *int8, "--calibration", tmp_path / "none.json")
    line = ["--target", "generic-cpu", "-o"]
    assert "is there already" in refusal(capsys, "export", tiny_checkpoint, *line, bundle)
    assert "nowhere" in refusal(capsys, "export", tmp_path / "nowhere", *line, tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_layers_that_stay_float_are_listed(tiny_checkpoint, ranges, tmp_path, capsys):
    int8 = ["export", tiny_checkpoint, "--target", "generic-cpu", "--precision", "int8"]
    line = [*int8, "--calibration", ranges, "--keep-float", "Conv_3", "-o", tmp_path / "out"]
    found = json_of(capsys, *line)
    assert "Conv_3" in found["float_layers"]
    assert run(*line, "--overwrite") == 0
    assert capsys.readouterr().out.startswith(f"{tmp_path / 'out'}: generic-cpu, int8, ")
