"""Predicted instructions: counts as they are, fits between them, and tables that are read again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import targets
from toolkit.cost.operators import Operator
from toolkit.cost.predict import CostModel, least_squares
from toolkit.cost.table import CostTable, CountedNetwork, read_table, save_table
from toolkit.errors import PosecError

POINTWISE = Operator("conv_2d", "int8", (1, 1), 1, 1, height=24, width=40, inputs=64, outputs=96)
SIZES = [(24, 40, 64, 96), (12, 20, 96, 576), (48, 80, 24, 144), (6, 10, 480, 240), (24, 40, 288, 48)]


def instructions(operator):
    """A cost of the form that kernels have: products, results, and a part for each pixel."""
    pixels = operator.height * operator.width
    return round(pixels * (operator.inputs * operator.outputs / 4 + 4 * operator.outputs + 16))


def sized(sizes):
    height, width, inputs, outputs = sizes
    return POINTWISE._replace(height=height, width=width, inputs=inputs, outputs=outputs)


@pytest.fixture
def table():
    counts = {operator: instructions(operator) for operator in map(sized, SIZES * 1)}
    more = [sized((side, side + 8, inputs, 2 * inputs)) for side, inputs in ((8, 16), (16, 40), (32, 80))]
    return CostTable("board", "cpu", "library 1", {**counts, **{each: instructions(each) for each in more}})


def test_a_counted_operator_has_its_count(table):
    moved = table.with_counts({POINTWISE: 7})
    assert CostModel(moved).operator(POINTWISE) == 7


def test_sizes_between_the_counted_ones_are_interpolated(table):
    model = CostModel(table)
    for sizes in ((20, 28, 64, 128), (12, 20, 320, 96), (40, 64, 24, 48)):
        assert model.operator(sized(sizes)) == pytest.approx(instructions(sized(sizes)), rel=0.01)


def test_a_single_count_scales_with_the_products(table):
    alone = CostModel(replace(table, counts={POINTWISE: 1000}))
    assert alone.operator(POINTWISE._replace(height=48)) == pytest.approx(2000)


def test_families_that_were_not_counted_are_named_and_left_out(table):
    other = POINTWISE._replace(kernel=(5, 5))
    predicted = CostModel(table).network([POINTWISE, other])
    assert predicted.instructions == table.counts[POINTWISE]
    assert predicted.unknown == ("conv_2d int8 5x5 stride 1 dilation 1",)


def test_no_coefficient_is_negative():
    random = np.random.default_rng(0)
    terms = random.uniform(1, 2, (20, 3))
    found = least_squares(terms, terms @ [1.0, -0.5, 2.0])
    assert found.min() >= 0
    np.testing.assert_allclose(least_squares(terms, terms @ [1.0, 0.5, 2.0]), [1.0, 0.5, 2.0], rtol=1e-9)


def test_a_table_is_read_as_it_was_written(table, tmp_path):
    table = table.with_network(CountedNetwork("small", "0" * 64, counted=100, predicted=103))
    save_table(tmp_path / "board.operators.json", table)
    assert read_table(tmp_path / "board.operators.json") == table
    assert table.largest_error == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"operators": [["conv_2d", "int8", 1, 1, 1, 1, 0, 1, 1, 1, 5]]}, "between 1 and"),
        ({"operators": [["conv_2d", "int8"]]}, "a list of 11 entries"),
        ({"networks": [{"name": "a", "sha256": "0" * 64, "counted": 0, "predicted": 1}]}, "between 1 and"),
        ({"format": 9}, "format 9"),
    ],
)
def test_a_table_of_another_form_is_refused(table, tmp_path, change, words):
    path = tmp_path / "board.operators.json"
    save_table(path, table)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(PosecError, match=words):
        read_table(path)


@pytest.mark.parametrize("name", [name for name in targets.names() if targets.operator_costs(name)])
def test_a_shipped_table_states_its_error_on_five_networks(name):
    table = targets.operator_costs(name)
    assert table.target == name
    assert len(table.networks) >= 5
    assert table.largest_error < 0.05
