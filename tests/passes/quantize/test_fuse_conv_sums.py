"""Fused sums of convolutions: equal heads, fewer roundings, and sums that cannot be fused stay."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from networks import tiny_spec
from onnx import TensorProto, helper, numpy_helper
from schemes import UINT8, int8_heads, with_activations

from toolkit.ir.graph import Graph, Stage
from toolkit.passes.quantize.fuse_conv_sums import fuse_conv_sums
from toolkit.passes.quantize.insert_qdq import insert_qdq
from toolkit.runtime.engines.onnxruntime import cpu_options, library
from toolkit.runtime.frame import FrameInput

SCHEME = with_activations(int8_heads(UINT8, operators=("Conv", "Add", "Concat")), same_scale=())
FRAMES = np.random.default_rng(1).normal(0, 1, (6, 1, 3, 8, 8)).astype(np.float32)
SIZES = (0.1, 1.0, 7.0)


def network() -> Graph:
    """Three maps of different range, each with a convolution; their sum, in which they cancel, and a ReLU."""
    random, nodes, arrays = np.random.default_rng(2), [], {}
    for part, size in enumerate(SIZES):
        arrays[f"made{part}.w"], arrays[f"made{part}.b"] = (
            random.normal(0, size, (4, 3, 3, 3)),
            random.normal(0, size, 4),
        )
        arrays[f"read{part}.w"] = random.normal(0, 1 / size, (5, 4, 1, 1))
        nodes.append(
            helper.make_node(
                "Conv",
                ["frame", f"made{part}.w", f"made{part}.b"],
                [f"raw{part}"],
                f"made{part}",
                pads=[1] * 4,
            )
        )
        nodes.append(helper.make_node("Relu", [f"raw{part}"], [f"map{part}"], f"rectified{part}"))
        nodes.append(
            helper.make_node("Transpose", [f"map{part}"], [f"moved{part}"], f"moved{part}", perm=[0, 1, 3, 2])
        )
        biased = [f"read{part}.b"] if part else []
        nodes.append(
            helper.make_node(
                "Conv", [f"moved{part}", f"read{part}.w", *biased], [f"term{part}"], f"read{part}"
            )
        )
        if biased:
            arrays[f"read{part}.b"] = random.normal(0, 1, 5)
    nodes += [
        helper.make_node("Add", ["term0", "term1"], ["partial"], "partial"),
        helper.make_node("Add", ["partial", "term2"], ["total"], "total"),
        helper.make_node("Relu", ["total"], ["out"], "out"),
    ]
    initializers = [
        numpy_helper.from_array(values.astype(np.float32), name) for name, values in arrays.items()
    ]
    frame = helper.make_tensor_value_info("frame", TensorProto.FLOAT, [1, 3, 8, 8])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 5, 8, 8])
    model = helper.make_model(
        helper.make_graph(nodes, "sums", [frame], [out], initializers),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model, full_check=True)
    return Graph(model, tiny_spec(), FrameInput(), {}, stage=Stage.PREPARED)


def outputs(graph: Graph) -> np.ndarray:
    session = library().InferenceSession(
        graph.model.SerializeToString(), cpu_options(library()), providers=["CPUExecutionProvider"]
    )
    return np.concatenate([session.run(["out"], {"frame": frame})[0] for frame in FRAMES])


def ranges_of(graph: Graph) -> dict[str, tuple[float, float]]:
    every = graph.copy().model
    every.graph.output.extend(
        helper.make_empty_tensor_value_info(name)
        for node in graph.model.graph.node
        for name in node.output
        if name != "out"
    )
    session = library().InferenceSession(
        every.SerializeToString(), cpu_options(library()), providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    seen = [session.run(names, {"frame": frame}) for frame in FRAMES]
    found = {
        name: (float(min(s[i].min() for s in seen)), float(max(s[i].max() for s in seen)))
        for i, name in enumerate(names)
    }
    return {**found, "frame": (float(FRAMES.min()), float(FRAMES.max()))}


def test_a_sum_of_convolutions_becomes_one_with_the_same_results_and_true_ranges():
    graph, wanted, ranges = network(), outputs(network()), ranges_of(network())
    assert fuse_conv_sums(graph, ranges) == 1
    onnx.checker.check_model(graph.model, full_check=True)
    kinds = [node.op_type for node in graph.model.graph.node]
    assert (kinds.count("Conv"), kinds.count("Add"), kinds.count("Concat")) == (4, 0, 1)
    np.testing.assert_allclose(outputs(graph), wanted, rtol=1e-4, atol=1e-4)
    observed = ranges_of(graph)
    (side_by_side,) = [node.output[0] for node in graph.model.graph.node if node.op_type == "Concat"]
    for name in ("raw0", "map0", "raw1", "out", side_by_side):
        np.testing.assert_allclose(ranges[name], observed[name], rtol=1e-3, atol=1e-4)
    # One scale for what stands side by side: no integer has to be brought to another.
    assert len({ranges[name] for name in ("moved0", "moved1", "moved2", side_by_side)}) == 1
    sizes = [max(map(abs, observed[f"moved{part}"])) for part in range(3)]
    assert max(sizes) < 2.01 * min(sizes)


def test_a_fused_sum_is_rounded_once_and_has_a_smaller_error():
    wanted, errors = outputs(network()), []
    for joined in (False, True):
        graph, ranges = network(), ranges_of(network())
        if joined:
            fuse_conv_sums(graph, ranges)
        insert_qdq(graph, ranges, SCHEME)
        errors.append(np.abs(outputs(graph) - wanted).mean())
    assert errors[1] < 0.9 * errors[0]


def wider(graph: Graph) -> None:
    node = next(node for node in graph.model.graph.node if node.name == "read1")
    weight = next(tensor for tensor in graph.model.graph.initializer if tensor.name == "read1.w")
    weight.CopyFrom(numpy_helper.from_array(np.zeros((5, 4, 3, 3), np.float32), "read1.w"))
    node.attribute.append(helper.make_attribute("pads", [1] * 4))


def not_a_convolution(graph: Graph) -> None:
    node = next(node for node in graph.model.graph.node if node.name == "total")
    graph.model.graph.node.insert(
        list(graph.model.graph.node).index(node), helper.make_node("Neg", ["term2"], ["less"], "less")
    )
    node = next(node for node in graph.model.graph.node if node.name == "total")
    node.input[1] = "less"


def fixed_in_size(graph: Graph) -> None:
    """The smallest map has another reader, so it cannot be made larger."""
    graph.model.graph.output.append(helper.make_tensor_value_info("map0", TensorProto.FLOAT, [1, 4, 8, 8]))


@pytest.mark.parametrize(
    "change", [wider, not_a_convolution, fixed_in_size], ids=lambda change: change.__name__
)
def test_other_sums_stay(change: Callable[[Graph], None]):
    graph = network()
    ranges = ranges_of(graph)
    change(graph)
    before = graph.model.SerializeToString(deterministic=True)
    assert fuse_conv_sums(graph, ranges) == 0
    assert graph.model.SerializeToString(deterministic=True) == before


def test_layers_kept_float_and_tensors_without_a_range_keep_their_sums():
    for ranges, kept in ((ranges_of(network()), ["read1"]), (ranges_of(network()), ["partial"]), ({}, [])):
        graph = network()
        assert fuse_conv_sums(graph, ranges, kept) == 0
        assert "Concat" not in {node.op_type for node in graph.model.graph.node}


def test_a_sum_with_another_reader_is_fused_by_itself():
    graph = network()
    ranges = ranges_of(graph)
    graph.model.graph.output.append(helper.make_tensor_value_info("partial", TensorProto.FLOAT, [1, 5, 8, 8]))
    wanted = outputs(graph)
    assert fuse_conv_sums(graph, ranges) == 1
    makers = {node.output[0]: node.op_type for node in graph.model.graph.node}
    assert (makers["partial"], makers["total"]) == ("Conv", "Add")
    np.testing.assert_allclose(outputs(graph), wanted, rtol=1e-4, atol=1e-4)
