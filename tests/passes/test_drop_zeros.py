"""Branches of zeros: where they go, and where they must stay."""

from __future__ import annotations

import numpy as np
import pytest
from networks import one_head_graph, outputs_of
from onnx import helper

from toolkit.graph import Graph
from toolkit.passes.drop_zeros import drop_zeros

RANDOM = np.random.default_rng(8)


def branch(weight: np.ndarray, bias: np.ndarray, last: str = "Relu", first: bool = False) -> Graph:
    """Return frame -> Conv -> y, with the result of another Conv and an AveragePool added to what `last` reads."""
    arrays = {"v": RANDOM.normal(0, 1, (4, 3, 1, 1)).astype(np.float32), "w": weight, "b": bias}
    nodes = [
        helper.make_node("Conv", ["frame", "v"], ["kept"], "kept"),
        helper.make_node("Conv", ["frame", "w", "b"], ["branch"], "branch"),
        helper.make_node("AveragePool", ["branch"], ["wide"], "wide", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["wide", "kept"] if first else ["kept", "wide"], ["sum" if last else "y"], "add"),
    ]
    return one_head_graph([*nodes, helper.make_node(last, ["sum"], ["y"], "last")] if last else nodes, arrays)


@pytest.mark.parametrize("first", [False, True])
def test_a_branch_of_zeros_goes_with_all_that_made_it(first):
    graph = branch(np.zeros((4, 3, 1, 1), np.float32), np.zeros(4, np.float32), first=first)
    before = outputs_of(graph.model)["y"]
    assert drop_zeros(graph) == 1
    assert [node.name for node in graph.model.graph.node] == ["kept", "last"]
    np.testing.assert_array_equal(outputs_of(graph.model)["y"], before)
    assert drop_zeros(graph) == 0


@pytest.mark.parametrize(
    ("weight", "bias", "last"), [(1e-9, 0.0, "Relu"), (0.0, 1e-9, "Relu"), (0.0, 0.0, "")], ids=["a weight", "a bias", "the sum is a head"]
)
def test_what_adds_something_or_is_a_head_stays(weight, bias, last):
    graph = branch(np.full((4, 3, 1, 1), weight, np.float32), np.full(4, bias, np.float32), last)
    assert drop_zeros(graph) == 0
    assert len(graph.model.graph.node) == (5 if last else 4)


def test_a_sum_that_zeros_make_wider_stays():
    nodes = [helper.make_node("Conv", ["frame", "w"], ["zeros"], "zeros"), helper.make_node("GlobalAveragePool", ["frame"], ["mean"], "mean"),
             helper.make_node("Add", ["zeros", "mean"], ["sum"], "add"), helper.make_node("Relu", ["sum"], ["y"], "last")]  # fmt: skip
    assert drop_zeros(one_head_graph(nodes, {"w": np.zeros((3, 3, 1, 1), np.float32)})) == 0
