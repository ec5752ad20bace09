"""Counted operators of the tests' network: their sum is the whole, and a table is resumed."""

from __future__ import annotations

import pytest
from command_line import json_of

from toolkit.cost.table import read_table


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_the_operators_sum_up_to_the_network(root, working_bundles, precision, tmp_path, capsys):
    folder, out = working_bundles[precision].folder, tmp_path / "table.json"
    line = ["measure-operators", folder, "--target", "raspberry-pi-4", "-o", out]
    found = json_of(capsys, *line, "--check", folder)
    (network,) = found["networks"]
    assert network["predicted"] == pytest.approx(network["counted"], rel=0.03)
    table = read_table(out)
    assert found["operators"] == len(table.counts) > 5
    capsys.readouterr()
    json_of(capsys, *line)  # every operator is there: nothing is counted again
    assert read_table(out) == table
