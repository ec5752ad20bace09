"""measure-operators: requests that are refused before anything is counted."""

from __future__ import annotations

from command_line import refusal
from tiny_bundles import write_tiny_bundle


def test_boards_without_an_emulator_are_refused(tmp_path, capsys):
    line = ["measure-operators", "--target", "jetson-orin-nano", "-o", tmp_path / "table.json"]
    said = refusal(capsys, *line)
    assert "no emulator of 'jetson-orin-nano'; emulated are raspberry-pi-zero-2" in said


def test_bundles_of_other_engines_are_refused(tmp_path, capsys):
    write_tiny_bundle(tmp_path / "bundle")
    line = ["measure-operators", tmp_path / "bundle", "--target", "raspberry-pi-4", "-o", tmp_path / "a.json"]
    assert "operators are counted in bundles of TFLite" in refusal(capsys, *line)
