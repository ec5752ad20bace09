"""Opset lowering: equal heads, and refusals of operators without an equivalent."""

from __future__ import annotations

import numpy as np
import pytest
from checked_passes import apply, kinds
from networks import one_head_graph
from onnx import helper

from toolkit.errors import PosecError
from toolkit.passes.opset.lower_opset import OPSET, lower_opset


def test_the_opset_is_lowered_where_the_older_operators_are_equivalent():
    scales = np.asarray([1, 1, 2, 2], np.float32)
    nodes = [
        helper.make_node("Resize", ["frame", "", "s"], ["a"], mode="linear", antialias=0),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    graph = one_head_graph(nodes, {"s": scales}, opset=19)
    graph.model.producer_name, graph.model.graph.doc_string = "torch", "from /home/somebody"
    graph.model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert apply(lower_opset, graph) == 2
    assert [(entry.domain, entry.version) for entry in graph.model.opset_import] == [("", OPSET)]
    assert not graph.model.producer_name
    assert not graph.model.graph.doc_string
    assert apply(lower_opset, graph) == 0


@pytest.mark.parametrize(
    ("node", "opset", "word"),
    [
        (helper.make_node("Resize", ["frame", "", "s"], ["y"], mode="linear", antialias=1), 19, "antialias"),
        (helper.make_node("ReduceMean", ["frame", "n"], ["y"]), 18, "computes its input 'n'"),
        (helper.make_node("BitwiseNot", ["frame"], ["y"]), 18, "BitwiseNot"),
        (helper.make_node("Relu", ["frame"], ["y"]), 6, "export the network again"),
    ],
    ids=["a new attribute", "a computed input", "a new operator", "too old"],
)
def test_a_graph_without_an_equivalent_in_the_older_opset_is_refused(node, opset, word):
    arrays = {"s": np.asarray([1, 1, 0.5, 0.5], np.float32), "i": np.asarray([2, 3])}
    graph = one_head_graph(
        [node], {name: values for name, values in arrays.items() if name in node.input}, opset=opset
    )
    with pytest.raises(PosecError, match=word):
        lower_opset(graph)


def test_a_pad_around_the_opposite_border_becomes_slices():
    pads = np.asarray([1, 2, 2, 0], np.int64)
    axes = np.asarray([2, 3], np.int64)
    nodes = [
        helper.make_node("Pad", ["frame", "pads", "", "axes"], ["a"], mode="wrap"),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    graph = one_head_graph(nodes, {"pads": pads, "axes": axes}, opset=19)
    assert apply(lower_opset, graph) > 0
    assert set(kinds(graph)) == {"Slice", "Concat", "Identity", "Relu"}


def test_a_mean_over_both_axes_of_maps_becomes_a_pool():
    nodes = [
        helper.make_node("ReduceMean", ["frame", "axes"], ["a"], keepdims=1),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    graph = one_head_graph(nodes, {"axes": np.asarray([-1, 2], np.int64)}, opset=18)
    assert apply(lower_opset, graph) > 0
    assert kinds(graph) == ["GlobalAveragePool", "Relu"]


def test_an_operator_that_opset_13_lacks_becomes_its_function_body():
    graph = one_head_graph([helper.make_node("Mish", ["frame"], ["y"])], {}, opset=18)
    assert apply(lower_opset, graph) > 0
    assert "Mish" not in kinds(graph)
    assert kinds(graph)[-1] == "Mul"


def test_a_trilu_becomes_a_mask():
    nodes = [helper.make_node("Trilu", ["frame"], ["y"], upper=0)]
    graph = one_head_graph(nodes, {}, opset=14)
    assert apply(lower_opset, graph) == 1
    assert kinds(graph) == ["Where"]
