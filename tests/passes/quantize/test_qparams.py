"""Scales and zero points of activations, weights and biases."""

import numpy as np
import pytest
from onnx import helper, numpy_helper
from schemes import (
    int8_heads,
    with_activations,
)
from small_graphs import AFFINE, convolution, observed, run, small_graph

from toolkit.errors import PosecError
from toolkit.passes.edit.graph_index import index_graph
from toolkit.passes.quantize.insert_qdq import insert_qdq
from toolkit.passes.quantize.qparams import to_int8, weight_scales


def test_same_scale_operators_share_it_and_runtimes_may_fix_outputs():
    nodes, arrays = convolution("a", "frame", np.random.default_rng(0).normal(size=(2, 3, 1, 1)))
    scales = numpy_helper.from_array(np.asarray([1, 1, 2, 2], np.float32), "scales")
    nodes += [
        helper.make_node("Sigmoid", ["a.y"], ["s"]),
        helper.make_node("Resize", ["s", "", "scales"], ["r"], mode="linear"),
        helper.make_node("Concat", ["r", "r"], ["c"], axis=1),
        helper.make_node("Neg", ["c"], ["out"]),
    ]
    graph = small_graph(nodes, [*arrays, scales], "out", [1, 4, 16, 16])
    frame = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)
    scheme = int8_heads(AFFINE, operators=(*AFFINE.operators, "Sigmoid"))
    scheme = with_activations(scheme, dtype="int8", fixed={"Sigmoid": (1 / 256, -128)})
    insert_qdq(graph, observed(graph.model, [frame]), scheme)
    found = index_graph(graph.model)
    for name in ("s", "r", "c"):
        assert found.array(f"{name}/scale") == np.float32(1 / 256)
        assert found.array(f"{name}/zero_point") == -128
    scheme = with_activations(scheme, fixed={"Sigmoid": (1 / 256, -128), "Resize": (1 / 128, 0)})
    with pytest.raises(PosecError, match="one scale for c, r, s"):
        insert_qdq(
            small_graph(nodes[:1] + nodes[1:], [*arrays, scales], "out", [1, 4, 16, 16]),
            {"frame": (-3, 3), "a.y": (-9, 9)},
            scheme,
        )


def test_a_channel_of_tiny_weights_keeps_its_bias():
    weight = np.random.default_rng(0).normal(size=(3, 3, 1, 1))
    weight[1], weight[2] = 0, 1e-12
    nodes, arrays = convolution("a", "frame", weight, np.asarray([0.5, 3.0, -2.0]))
    graph = small_graph(nodes, arrays, "a.y", [1, 3, 8, 8])
    frame = np.random.default_rng(1).normal(size=(1, 3, 8, 8)).astype(np.float32)
    insert_qdq(graph, observed(graph.model, [frame]), int8_heads(AFFINE))
    out = run(graph.model, frame)["a.y"]
    np.testing.assert_allclose(out[0, 1], 3.0, atol=0.05)
    np.testing.assert_allclose(out[0, 2], -2.0, atol=0.05)


@pytest.mark.parametrize("factors", [np.ones(6), np.geomspace(0.1, 10, 6)], ids=["tensor", "channels"])
def test_quantized_weights_are_not_rounded_again(factors):
    random = np.random.default_rng(0)
    integers = random.integers(-60, 61, (6, 12, 3, 3))
    integers[0] = 0
    weight = (integers * np.float32(0.0371) * factors.astype(np.float32).reshape(-1, 1, 1, 1)).astype(
        np.float32
    )
    scales = weight_scales(weight, 0)
    back = to_int8(weight, scales, 0) * scales.reshape(-1, 1, 1, 1)
    np.testing.assert_allclose(back, weight, rtol=1e-5)
    assert (scales[1:] < 2 * np.abs(weight[1:]).max((1, 2, 3)) / 127).all(), (
        "the finest such scale serves the bias best"
    )
    ordinary = random.normal(size=(6, 12, 3, 3)).astype(np.float32)
    np.testing.assert_allclose(weight_scales(ordinary, 0), np.abs(ordinary).max((1, 2, 3)) / 127, rtol=1e-6)
    assert weight_scales(ordinary, None).shape == ()


@pytest.mark.parametrize(
    ("readers", "step"), [(["Sigmoid"], 12.48 / 255), (["Tanh"], 6.24 / 255), (["Sigmoid", "Neg"], 60 / 255)]
)
def test_the_range_of_a_saturating_operators_input_ends_where_it_saturates(readers, step):
    nodes, arrays = convolution("a", "frame", np.random.default_rng(0).normal(size=(2, 3, 1, 1)))
    nodes += [helper.make_node(kind, ["a.y"], [f"r{i}"], f"r{i}") for i, kind in enumerate(readers)]
    nodes += [helper.make_node("Concat", [f"r{i}" for i in range(len(readers))], ["out"], "out", axis=1)]
    graph = small_graph(nodes, arrays, "out", [1, 2 * len(readers), 8, 8])
    insert_qdq(graph, {"frame": (-3, 3), "a.y": (-40, 20)}, int8_heads(AFFINE, operators=("Conv",)))
    found = index_graph(graph.model)
    (quantize,) = [
        node for node in graph.model.graph.node if node.op_type == "QuantizeLinear" and node.input[0] == "a.y"
    ]
    assert float(found.array(quantize.input[1])) == pytest.approx(step, rel=1e-6)


def test_few_quantized_weights_are_recognized_without_neighbouring_values():
    """The nine weights of a depthwise window: no two of a row differ by one step."""
    integers = np.array(
        [
            [101, -3, 5, 9, 14, 22, 35, 60, 0],
            [90, 30, -7, 45, 3, 61, 12, 75, 20],
            [127, 1, 2, 3, 4, 5, 6, 7, 8],
        ]
    )
    weight = (integers * np.array([[0.013], [0.4], [1.7]])).astype(np.float32).reshape(3, 1, 3, 3)
    scales = weight_scales(weight, 0)
    np.testing.assert_allclose(to_int8(weight, scales, 0) * scales.reshape(-1, 1, 1, 1), weight, rtol=1e-5)
    np.testing.assert_array_equal(to_int8(weight, scales, 0)[0].ravel(), integers[0])
    tensor = weight_scales(weight[:1], None)
    np.testing.assert_allclose(to_int8(weight[:1], tensor, None) * tensor, weight[:1], rtol=1e-5)
