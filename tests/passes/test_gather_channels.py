"""Channels that were spread for depthwise convolutions, gathered again: equal numbers, and what is no copy stays."""

from __future__ import annotations

import numpy as np
import pytest
from networks import one_head_graph, outputs_of
from onnx import helper

from toolkit.graph import Graph
from toolkit.passes.gather_channels import gather_channels
from toolkit.passes.layers import links
from toolkit.passes.spread_channels import spread_channels

RANDOM = np.random.default_rng(6)
CHANNELS = 5


def array(*shape: int) -> np.ndarray:
    return RANDOM.normal(0, 0.5, shape).astype(np.float32)


def windows(maker: np.ndarray, multiplier: int = 1, reader: str = "Conv") -> Graph:
    """Return two windows over one clipped map, each read by a 1x1 convolution, summed."""
    count = len(maker)
    nodes = [helper.make_node("Conv", ["frame", "w"], ["a"], "maker"), helper.make_node("Clip", ["a", "zero", "one"], ["heat"], "clip")]
    arrays = {"w": maker, "zero": np.float32(0), "one": np.float32(1)}
    for name, side in (("p", 3), ("q", 7)):
        nodes.append(
            helper.make_node("Conv", ["heat", f"k{name}"], [f"window_{name}"], f"window_{name}", group=count, pads=[side // 2] * 4)
        )
        arrays |= {f"k{name}": array(count * multiplier, 1, side, side), f"e{name}": array(4, count * multiplier, 1, 1)}
        nodes.append(
            helper.make_node("Conv", [f"window_{name}", f"e{name}"], [f"enter_{name}"], f"enter_{name}")
            if reader == "Conv"
            else helper.make_node(reader, [f"window_{name}"], [f"enter_{name}"], f"enter_{name}")
        )
    return one_head_graph([*nodes, helper.make_node("Add", ["enter_p", "enter_q"], ["y"])], arrays)


def shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    constants = links(graph.model).constants
    return {node.name: tuple(constants[node.input[1]].dims) for node in graph.model.graph.node if node.op_type == "Conv"}


def test_what_was_spread_is_gathered():
    graph = windows(array(CHANNELS, 3, 1, 1), multiplier=3)
    before, wanted = outputs_of(graph.model)["y"], shapes(graph)
    assert spread_channels(graph) == 2
    assert shapes(graph) != wanted
    assert gather_channels(graph) == 2
    assert shapes(graph) == wanted
    np.testing.assert_allclose(outputs_of(graph.model)["y"], before, atol=1e-5)
    assert gather_channels(graph) == 0


ROW = array(1, 3, 1, 1)
LEFT = {
    "channels that differ": windows(array(CHANNELS, 3, 1, 1)),
    "unlike numbers of copies": windows(np.concatenate([ROW, ROW, array(2, 3, 1, 1)])),
    "readers of another kind": windows(np.tile(array(CHANNELS, 3, 1, 1), (2, 1, 1, 1)), reader="Sigmoid"),
    "windows with a multiplier": windows(array(CHANNELS, 3, 1, 1), multiplier=2),
}


@pytest.mark.parametrize("graph", LEFT.values(), ids=LEFT)
def test_others_stay_as_they_are(graph):
    before = graph.sha256
    assert gather_channels(graph) == 0
    assert graph.sha256 == before
