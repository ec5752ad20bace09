"""Depthwise convolutions with a multiplier: where they are expanded, where they stay, and equal numbers."""

from __future__ import annotations

import numpy as np
import pytest
from networks import one_head_graph, outputs_of
from onnx import helper

from toolkit.ir.graph import Graph
from toolkit.passes.edit.graph_index import index_graph
from toolkit.passes.prepare.expand_depthwise import expand_depthwise

RANDOM = np.random.default_rng(5)


def array(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.5, shape).astype(np.float32)


def conv(source: str, result: str, weights: str, **attributes: object) -> object:
    return helper.make_node("Conv", [source, *weights.split()], [result], result, **attributes)


def windows(*, reader: str = "Conv", multipliers: tuple[int, int] = (3, 3)) -> Graph:
    """Return two depthwise kernels with a multiplier over a clipped map of 5 channels, summed by 1x1 ones."""
    nodes = [conv("frame", "a", "w b"), helper.make_node("Clip", ["a", "zero", "one"], ["heat"], "clip")]
    arrays = {"w": array(5, 3, 1, 1), "b": array(5), "zero": np.float32(0), "one": np.float32(1)}
    for name, multiplier, side in zip("pq", multipliers, (3, 7), strict=True):
        nodes.append(conv("heat", f"window_{name}", f"k{name}", group=5, pads=[side // 2] * 4))
        arrays[f"k{name}"] = array(5 * multiplier, 1, side, side)
        read = (
            conv(f"window_{name}", f"enter_{name}", f"e{name}")
            if reader == "Conv"
            else helper.make_node("ReduceMean", [f"window_{name}"], [f"enter_{name}"], axes=[1], keepdims=1)
        )
        nodes.append(read)
        arrays[f"e{name}"] = array(4, 5 * multiplier, 1, 1)
    return one_head_graph([*nodes, helper.make_node("Add", ["enter_p", "enter_q"], ["y"])], arrays)


def groups(graph: Graph) -> list[tuple[int, int]]:
    """Return (groups, outputs) of every grouped convolution."""
    found = index_graph(graph.model)
    shapes = [
        (node, found.constants[node.input[1]].dims)
        for node in graph.model.graph.node
        if node.op_type == "Conv"
    ]
    return [(value.i, dims[0]) for node, dims in shapes for value in node.attribute if value.name == "group"]


@pytest.mark.parametrize(
    ("reader", "channels"), [("Conv", 16), ("ReduceMean", 15)], ids=["rounded up", "as they are"]
)
def test_depthwise_convolutions_are_expanded_to_multiplier_1(reader, channels):
    graph = windows(reader=reader)
    before = outputs_of(graph.model)["y"]
    assert expand_depthwise(graph) == 2
    assert groups(graph) == [(channels, channels)] * 2
    np.testing.assert_allclose(outputs_of(graph.model)["y"], before, atol=1e-5)
    assert expand_depthwise(graph) == 0


def test_depthwise_convolutions_of_different_multipliers_stay():
    assert expand_depthwise(windows(multipliers=(3, 2))) == 0


def test_plain_depthwise_convolutions_stay():
    assert expand_depthwise(windows(multipliers=(1, 1))) == 0


def test_a_map_with_another_reader_stays():
    graph = windows()
    graph.model.graph.node.append(helper.make_node("ReduceMean", ["heat"], ["mean"], axes=[1], keepdims=1))
    graph.model.graph.node.append(helper.make_node("Add", ["y", "mean"], ["z"]))
    graph.model.graph.output[0].name = "z"
    assert expand_depthwise(graph) == 0
