"""blame: drift by head and by layer."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from command_line import json_of, refusal, run

TEXT = "{http://www.w3.org/2000/svg}text"


@pytest.fixture
def line(tiny_checkpoint, ranges, pictures):
    line = ["blame", tiny_checkpoint, "--target", "generic-cpu", "--calibration", ranges]
    return [*line, "--frames", pictures, "--most", 3]


def test_heads_and_layers_are_ranked_and_drawn(line, tmp_path, capsys):
    found = json_of(capsys, *line, "-o", tmp_path / "blame.svg")
    assert set(found["heads"]) == {"centre", "offset", "embedding", "rotation", "depth"}
    drifts = [layer["int8_only"]["drift_mm"] for layer in found["layers"]]
    assert drifts == sorted(drifts, reverse=True)
    assert "float_only" not in found["layers"][0]
    drawing = ElementTree.fromstring((tmp_path / "blame.svg").read_text())
    names = {element.text for element in drawing.iter(TEXT)}
    assert {"head centre", *(layer["layer"] for layer in found["layers"][:3])} <= names
    assert found["layers"][3]["layer"] not in names


@pytest.mark.parametrize("option", ["--float-only", "--spare"])
def test_layers_are_also_measured_alone_in_float(line, option, capsys):
    found = json_of(capsys, *line, option)
    assert found["layers"][0]["float_only"]["drift_mm"] != found["whole"]["drift_mm"]


def test_the_heads_alone_are_one_row_each(line, capsys):
    heads = json_of(capsys, *line, "--heads-only")["heads"]
    assert run(*line, "--heads-only") == 0
    first_cells = [row.split("  ")[0] for row in capsys.readouterr().out.splitlines()]
    assert first_cells == ["part", "all", *(f"head {head}" for head in heads)]


def test_a_board_without_int8_is_refused(tiny_checkpoint, ranges, capsys):
    line = ["blame", tiny_checkpoint, "--target", "jetson-nano", "--calibration", ranges]
    assert "jetson-nano" in refusal(capsys, *line)
