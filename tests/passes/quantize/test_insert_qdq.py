"""Q and DQ around the operators of a scheme."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from schemes import (
    SYMMETRIC,
    int8_heads,
    with_activations,
    with_weights,
)
from small_graphs import AFFINE, convolution, kinds, observed, run, small_graph

from toolkit.errors import PosecError
from toolkit.ir.graph import Graph, Stage
from toolkit.passes.edit.graph_index import index_graph, layer_name, weighted_layers
from toolkit.passes.quantize.float_layers import float_layers
from toolkit.passes.quantize.insert_qdq import insert_qdq


@pytest.mark.parametrize(
    "scheme",
    [
        AFFINE,
        SYMMETRIC,
        with_weights(AFFINE, per_channel=False),
        with_activations(AFFINE, quantize_results=False),
    ],
    ids=lambda s: s.name,
)
def test_the_integers_stay_close_to_the_floats(tiny, scheme):
    graph, ranges, frames = tiny
    integer = graph.copy()
    count = insert_qdq(integer, ranges, scheme)
    assert count == sum(node.op_type in scheme.operators for node in graph.model.graph.node) - len(
        graph.spec.heads
    )
    assert integer.heads == graph.heads
    onnx.checker.check_model(integer.model, full_check=True)
    for frame in frames:
        wanted, got = run(graph.model, frame), run(integer.model, frame)
        for name, head in graph.spec.heads.items():
            assert not np.array_equal(wanted[name], got[name])
            assert np.abs(wanted[name] - got[name]).mean() < 0.02 * (head.high - head.low)


def test_no_qdq_separates_a_convolution_from_its_relu(tiny):
    graph, ranges, _ = tiny
    integer = graph.copy()
    insert_qdq(integer, ranges, AFFINE)
    found = index_graph(integer.model)
    rectifiers = [node for node in integer.model.graph.node if node.op_type in ("Relu", "Clip")]
    assert rectifiers
    assert {found.producers[node.input[0]].op_type for node in rectifiers} <= {"Conv", "Add"}


def test_symmetric_integers_have_no_zero_point_no_integer_bias_and_float_weights(tiny):
    graph, ranges, _ = tiny
    integer = graph.copy()
    insert_qdq(integer, ranges, SYMMETRIC)
    found = index_graph(integer.model)
    for node in integer.model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert not found.array(node.input[2]).any()
            assert found.array(node.input[2]).dtype == np.int8
            if found.array(node.input[1]).size > 1:
                assert helper.get_node_attr_value(node, "axis") == 0
        if node.op_type == "Conv" and layer_name(node) not in float_layers(integer):
            weight = found.producers[found.producers[node.input[1]].input[0]]
            assert weight.op_type == "QuantizeLinear"
            assert found.array(weight.input[0]).dtype == np.float32
            assert len(node.input) < 3 or node.input[2] in found.constants


def test_a_fused_residual_quantizes_the_shortcut_alone(tiny):
    graph, ranges, _ = tiny
    integer = graph.copy()
    insert_qdq(integer, ranges, SYMMETRIC)
    found = index_graph(integer.model)
    makers = [
        sorted(found.producers[name].op_type for name in node.input)
        for node in integer.model.graph.node
        if node.op_type == "Add"
    ]
    assert makers[0] == ["Conv", "DequantizeLinear"]


def test_weights_are_integers_on_axis_0(tiny):
    graph, ranges, _ = tiny
    integer = graph.copy()
    insert_qdq(integer, ranges, AFFINE)
    found = index_graph(integer.model)
    layers = [node for node in weighted_layers(graph.model) if layer_name(node) not in float_layers(integer)]
    for node in [
        node
        for node in integer.model.graph.node
        if layer_name(node) in {layer_name(layer) for layer in layers}
    ]:
        dequantize = found.producers[node.input[1]]
        assert found.array(dequantize.input[0]).dtype == np.int8
        assert helper.get_node_attr_value(dequantize, "axis") == 0
        assert found.array(dequantize.input[1]).shape == (len(found.array(dequantize.input[0])),)
    kept = {name for node in integer.model.graph.node for name in node.input}
    assert all(tensor.name in kept for tensor in integer.model.graph.initializer), (
        "float weights must not travel along"
    )


def folded_frame(offsets: list[float]) -> Graph:
    """Return a uint8 NHWC frame before a convolution, by DequantizeLinear or minus three means."""
    nodes = [helper.make_node("Transpose", ["frame"], ["pixels"], perm=[0, 3, 1, 2])]
    if len(set(offsets)) == 1:
        extra = [
            numpy_helper.from_array(np.float32(1), "one"),
            numpy_helper.from_array(np.uint8(offsets[0]), "zero"),
        ]
        nodes.append(helper.make_node("DequantizeLinear", ["pixels", "one", "zero"], ["x"]))
    else:
        extra = [numpy_helper.from_array(np.asarray(offsets, np.float32).reshape(3, 1, 1), "means")]
        nodes += [
            helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Sub", ["floats", "means"], ["x"]),
        ]
    conv, arrays = convolution(
        "a", "x", np.random.default_rng(0).normal(size=(4, 3, 3, 3)) / 128, np.ones(4), pads=[1] * 4
    )
    return small_graph(
        [*nodes, *conv, helper.make_node("Relu", ["a.y"], ["out"])],
        [*extra, *arrays],
        "out",
        [1, 4, 8, 8],
        dtype=TensorProto.UINT8,
        input_shape=(1, 8, 8, 3),
    )


@pytest.mark.parametrize(
    ("offsets", "frame_scale"), [([128.0] * 3, 1.0), ([123.0, 116.0, 103.0], (255 - 103 + 123) / 255)]
)
def test_a_folded_frame_needs_no_range_and_no_second_quantization(offsets, frame_scale):
    graph = folded_frame(offsets)
    frame = np.random.default_rng(1).integers(0, 256, (1, 8, 8, 3)).astype(np.uint8)
    wanted = run(graph.model, frame)["out"]
    insert_qdq(graph, {"out": (0.0, float(wanted.max()))}, int8_heads(AFFINE))
    folded = len(set(offsets)) == 1
    assert kinds(graph.model).count("QuantizeLinear") == (1 if folded else 2)
    bias = index_graph(graph.model).producers["a.y/bias"]
    scale = np.squeeze(
        index_graph(graph.model).array(bias.input[1]) / index_graph(graph.model).array("a.y/weight_scale")
    )
    np.testing.assert_allclose(scale, frame_scale, rtol=1e-5)
    assert np.abs(run(graph.model, frame)["out"] - wanted).max() < 0.03 * wanted.max()


def test_a_float_layer_reads_floats_and_an_integer_neighbour_reads_integers():
    random = np.random.default_rng(0)
    first, a = convolution("a", "frame", random.normal(size=(3, 3, 1, 1)))
    second, b = convolution("b", "a.y", random.normal(size=(3, 3, 1, 1)))
    third, c = convolution("c", "a.y", random.normal(size=(3, 3, 1, 1)))
    graph = small_graph(
        [*first, *second, *third, helper.make_node("Sum", ["b.y", "c.y"], ["out"])],
        [*a, *b, *c],
        "out",
        [1, 3, 8, 8],
    )
    frame = random.normal(size=(1, 3, 8, 8)).astype(np.float32)
    assert insert_qdq(graph, observed(graph.model, [frame]), int8_heads(AFFINE), keep_float=["a", "b"]) == 1
    found = index_graph(graph.model)
    assert [node.input[0] for node in graph.model.graph.node if node.op_type == "Conv"] == [
        "frame",
        "a.y",
        "a.y/dequantized",
    ]
    assert found.producers["a.y/quantized"].input[0] == "a.y"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": ["missing"]}, "no layer 'missing' to keep float; the layers with weights are a"),
        ({"ranges": {}}, "no range for tensor 'a.y'; calibrate again, on this graph"),
        (
            {"stage": Stage.TRACED},
            r"pass 'insert_qdq' requires a graph that is prepared \(opset 13, "
            r"batch norms folded.*is traced; start",
        ),
        ({"stage": Stage.QUANTIZED}, "'insert_qdq' requires .* prepared .* this one is quantized"),
    ],
)
def test_an_invalid_quantization_request_is_refused(change, message):
    nodes, arrays = convolution("a", "frame", np.ones((3, 3, 1, 1)))
    graph = small_graph(nodes, arrays, "a.y", [1, 3, 8, 8])
    graph.stage = change.get("stage", Stage.PREPARED)
    with pytest.raises(PosecError, match=message):
        insert_qdq(
            graph,
            change.get("ranges", {"frame": (0, 1), "a.y": (0, 1)}),
            int8_heads(AFFINE),
            keep_float=change.get("keep", ()),
        )
