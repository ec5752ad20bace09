"""plan: an export in advance."""

from __future__ import annotations

import pytest
from command_line import json_of, refusal, run

TO_INT8 = ["--target", "generic-cpu", "--precision", "int8"]


def test_a_plan_writes_nothing(tiny_checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planned = json_of(capsys, "plan", tiny_checkpoint, *TO_INT8)
    assert planned["target"] == "generic-cpu"
    assert planned["stays float"]
    assert not list(tmp_path.iterdir())


def test_the_forecast_of_a_jetson_is_printed_as_text_and_as_json(tiny_checkpoint, capsys):
    line = ["plan", tiny_checkpoint, "--target"]
    planned = json_of(capsys, *line, "jetson-orin-nano")
    assert planned["precision"] == "float16"  # the first that the board lists
    forecast = planned["forecast"]
    assert forecast["layers"]["float16"] > 10
    assert "this board has no DLA" in forecast["dla"]["why"]
    assert "--fp16" in forecast["trtexec"]
    assert run(*line, "jetson-agx-orin") == 0
    text = capsys.readouterr().out
    assert f"layers: float16 {forecast['layers']['float16']}\n" in text
    for words in ("cores: 2", "the DLA has no Cast", "memory_mb: weights", "trtexec --onnx="):
        assert words in text
    assert json_of(capsys, *line, "jetson-orin-nano", "--precision", "int8")["forecast"] == {}


def test_instructions_are_predicted_for_a_board_whose_operators_were_counted(tiny_checkpoint, capsys):
    line = ["plan", tiny_checkpoint, "--precision", "int8", "--target"]
    predicted = json_of(capsys, *line, "raspberry-pi-4")["predicted"]
    assert 0 < predicted["instructions_m"] < 100
    assert 0 < predicted["largest_error"] < 0.05
    # The counted network pads in its convolutions.
    assert "pad int8 1x1 stride 1 dilation 1" in predicted["not_counted"]
    assert json_of(capsys, *line, "generic-cpu")["predicted"] == {}


def test_layers_are_grouped_by_the_reason_that_they_stay_float(tiny_checkpoint, ranges, capsys):
    line = ["plan", tiny_checkpoint, *TO_INT8, "--calibration", ranges, "--keep-float"]
    reason = json_of(capsys, *line, "Conv_3", "Conv_8")["stays float"]["Conv_3"]
    assert run(*line, "Conv_3", "Conv_8") == 0
    assert f"  {reason} (2): Conv_3, Conv_8\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["nowhere", ""])
def test_a_checkpoint_that_is_not_there_is_refused(name, capsys):
    assert name in refusal(capsys, "plan", name, "--target", "generic-cpu")
