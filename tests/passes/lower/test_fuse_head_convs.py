"""Fused head convolutions: equal heads, and layers that cannot be fused stay."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from networks import outputs_of, tiny_graph_of, tiny_spec, with_keypoints
from onnx import TensorProto, helper, numpy_helper

from toolkit.ir.graph import Graph, Stage
from toolkit.passes import prepare
from toolkit.passes.edit.graph_index import index_graph
from toolkit.passes.lower.fuse_head_convs import fuse_head_convs
from toolkit.passes.quantize.float_layers import float_layers
from toolkit.runtime.frame import FrameInput

RANDOM = np.random.default_rng(11)
HEADS = ("centre", "offset", "rotation")


def branch(head: str, coarse: bool, group: int = 1) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
    """Return a head's last layers: a convolution of the frame, plus one of a coarser map, resized."""
    count = {"centre": 1, "offset": 2, "rotation": 6}[head]
    arrays = {
        f"{head}.w": RANDOM.normal(0, 1, (count, 3 // group, 1, 1)),
        f"{head}.b": RANDOM.normal(0, 1, count),
    }
    nodes = [
        helper.make_node(
            "Conv", ["frame", f"{head}.w", f"{head}.b"], [f"{head}.fine"], f"{head}.fine", group=group
        )
    ]
    if coarse:
        arrays |= {f"{head}.v": RANDOM.normal(0, 1, (count, 3, 1, 1)), f"{head}.s": np.asarray([1, 1, 2, 2])}
        nodes += [
            helper.make_node("Conv", ["wide", f"{head}.v"], [f"{head}.coarse"], f"{head}.coarse"),
            helper.make_node(
                "Resize",
                [f"{head}.coarse", "", f"{head}.s"],
                [f"{head}.grown"],
                f"{head}.grown",
                mode="linear",
            ),
            helper.make_node("Add", [f"{head}.fine", f"{head}.grown"], [f"{head}.sum"], f"{head}.sum"),
        ]
    last = f"{head}.sum" if coarse else f"{head}.fine"
    return [*nodes, helper.make_node("Sigmoid" if head == "centre" else "Tanh", [last], [head], head)], arrays


def network(**branches: dict) -> Graph:
    spec = tiny_spec((16, 16))
    nodes = [
        helper.make_node("AveragePool", ["frame"], ["wide"], "wide", kernel_shape=[2, 2], strides=[2, 2])
    ]
    arrays: dict[str, np.ndarray] = {}
    for head, options in branches.items():
        more, constants = branch(head, **options)
        nodes, arrays = [*nodes, *more], arrays | constants
    frame = helper.make_tensor_value_info("frame", TensorProto.FLOAT, [1, 3, 16, 16])
    outputs = [
        helper.make_tensor_value_info(head, TensorProto.FLOAT, [1, spec.heads[head].channels, 16, 16])
        for head in branches
    ]
    initializers = [
        numpy_helper.from_array(values.astype(np.float32), name) for name, values in arrays.items()
    ]
    model = helper.make_model(
        helper.make_graph(nodes, "heads", [frame], outputs, initializers),
        opset_imports=[helper.make_opsetid("", 13)],
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    return Graph(model, spec, FrameInput(), {}, stage=Stage.PREPARED)


def convolutions(graph: Graph) -> list[onnx.NodeProto]:
    return [node for node in graph.model.graph.node if node.op_type == "Conv"]


@pytest.mark.parametrize("coarse", [False, True])
def test_heads_of_equal_layers_are_fused(coarse):
    graph = network(**{head: {"coarse": coarse} for head in HEADS})
    before, layers = outputs_of(graph.model), float_layers(graph)
    assert fuse_head_convs(graph) == 3
    onnx.checker.check_model(graph.model, full_check=True)
    assert len(convolutions(graph)) == (2 if coarse else 1)
    assert sorted(float_layers(graph)) == sorted(layers)
    for name, values in outputs_of(graph.model).items():
        np.testing.assert_allclose(values, before[name], atol=1e-5)
    assert fuse_head_convs(graph) == 0


@pytest.mark.parametrize("odd", [{"coarse": False}, {"coarse": True, "group": 3}], ids=["no sum", "groups"])
def test_a_head_of_another_layer_stays(odd):
    graph = network(centre={"coarse": True}, offset={"coarse": True}, rotation=odd)
    before = outputs_of(graph.model)
    assert fuse_head_convs(graph) == 2
    assert [node.name for node in convolutions(graph) if node.name.startswith("rotation")]
    for name, values in outputs_of(graph.model).items():
        np.testing.assert_allclose(values, before[name], atol=1e-5)


def test_a_layer_with_another_reader_stays():
    graph = network(centre={"coarse": False}, offset={"coarse": False})
    graph.model.graph.output.append(
        helper.make_tensor_value_info("offset.fine", TensorProto.FLOAT, [1, 2, 16, 16])
    )
    assert fuse_head_convs(graph) == 0
    assert len(convolutions(graph)) == 2


def test_a_whole_network_keeps_its_people_maps():
    graph = prepare(tiny_graph_of(with_keypoints(tiny_spec())))
    before = outputs_of(graph.model)
    assert fuse_head_convs(graph) == 5  # of the two heads of key points one alone has biases
    found = index_graph(graph.model)
    assert sorted(len(node.output) for node in graph.model.graph.node if node.op_type == "Split") == [5]
    assert all(tensor in found.producers for tensor, _ in graph.heads.values())
    for name, values in outputs_of(graph.model).items():
        np.testing.assert_allclose(values, before[name], atol=1e-4)
