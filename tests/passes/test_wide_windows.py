"""Wide windows as dense convolutions: equal numbers whatever the window, and what must stay a depthwise convolution."""

from __future__ import annotations

import numpy as np
import pytest
from networks import one_head_graph, outputs_of
from onnx import helper

from toolkit.graph import Graph
from toolkit.passes.layers import links
from toolkit.passes.wide_windows import multiply_wide_windows

CHANNELS = 5
RANDOM = np.random.default_rng(17)


def array(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.3, shape).astype(np.float32)


def shared(rows: int, columns: int, kinds: int = 1) -> np.ndarray:
    """Return windows that are the same for every channel."""
    return np.tile(array(kinds, 1, rows, columns), (CHANNELS, 1, 1, 1))


def window(weight: np.ndarray, *, then: str = "Sigmoid", bias: np.ndarray | None = None, **attributes: object) -> Graph:
    """Return a map of 5 channels, 16x16, a depthwise convolution of it, and an operator behind that."""
    given = {"group": CHANNELS, "pads": [weight.shape[2] // 2, weight.shape[3] // 2] * 2, **attributes}
    arrays = {"w": array(CHANNELS, 3, 1, 1), "k": weight, **({} if bias is None else {"b": bias})}
    nodes = [
        helper.make_node("Conv", ["frame", "w"], ["map"], "map"),
        helper.make_node("Conv", ["map", "k", *(["b"] if bias is not None else [])], ["sums"], "window", **given),
        helper.make_node(then, ["sums"], ["y"], "after"),
    ]
    return one_head_graph(nodes, arrays)


def is_depthwise(graph: Graph) -> bool:
    return any(entry.name == "group" and entry.i > 1 for node in graph.model.graph.node for entry in node.attribute)


SHAPES = {
    "7x7": (shared(7, 7), {}), "wider than the map": (shared(27, 27), {}), "three of a channel": (shared(15, 15, 3), {}),
    "higher than wide": (shared(11, 3), {}), "wider than high": (shared(3, 11), {}), "without a border": (shared(7, 7, 2), {"pads": [0] * 4}),
    "with uneven borders": (shared(6, 6), {"pads": [3, 1, 0, 4]}), "with more border than window": (shared(7, 7), {"pads": [9, 5, 8, 6]}),
}  # fmt: skip


@pytest.mark.parametrize(("weight", "attributes"), SHAPES.values(), ids=SHAPES)
def test_sums_are_the_same(weight, attributes):
    graph = window(weight, **attributes)
    before = outputs_of(graph.model)["y"]
    assert multiply_wide_windows(graph) == 1
    assert not is_depthwise(graph)
    np.testing.assert_allclose(outputs_of(graph.model)["y"], before, atol=1e-5)
    assert multiply_wide_windows(graph) == 0


LEFT = {
    "channels that differ": window(array(CHANNELS, 1, 7, 7)), "a small window": window(shared(5, 5)), "a bias": window(shared(7, 7), bias=array(CHANNELS)),
    "steps of two": window(shared(7, 7), strides=[2, 2]), "taps apart": window(shared(7, 7), dilations=[2, 2], pads=[6] * 4),
    "a rectifier behind it": window(shared(7, 7), then="Relu"), "a map much higher than the window": window(shared(1, 31)),
    "a convolution of all channels": window(array(CHANNELS, CHANNELS, 7, 7), group=1), "borders by name": window(shared(7, 7), auto_pad="SAME_UPPER", pads=None),
}  # fmt: skip


@pytest.mark.parametrize("graph", LEFT.values(), ids=LEFT)
def test_others_stay_as_they_are(graph):
    before = graph.sha256
    assert multiply_wide_windows(graph) == 0
    assert graph.sha256 == before


def test_windows_of_one_map_share_its_rows():
    nodes = [helper.make_node("Conv", ["frame", "w"], ["map"], "map"), helper.make_node("Add", ["a", "b"], ["y"], "sum")]
    nodes[1:1] = [
        helper.make_node("Conv", ["map", f"k{name}"], [name], name, group=CHANNELS, pads=[pad] * 4) for name, pad in (("a", 3), ("b", 7))
    ]
    graph = one_head_graph(nodes, {"w": array(CHANNELS, 3, 1, 1), "ka": shared(7, 7), "kb": shared(15, 15)})
    before = outputs_of(graph.model)["y"]
    assert multiply_wide_windows(graph) == 2
    assert [node.op_type for node in links(graph.model).readers["map"]] == ["Transpose"]
    np.testing.assert_allclose(outputs_of(graph.model)["y"], before, atol=1e-5)
