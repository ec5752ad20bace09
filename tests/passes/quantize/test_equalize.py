"""Equalization: bit for bit the same network, with channels of like size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest
from networks import one_head_graph, outputs_of
from onnx import helper, numpy_helper
from schemes import UINT8, int8_heads

from toolkit.ir.graph import Graph, Stage
from toolkit.passes.quantize.equalize import equalize_convs
from toolkit.passes.quantize.insert_qdq import insert_qdq
from toolkit.passes.quantize.qparams import are_integers, to_int8, weight_scales

SCHEME = int8_heads(UINT8, operators=("Conv",))
LARGE = np.exp2(np.asarray([0, 6, -5, 3, 0, -8, 2, 1]))


def random_array(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.4, shape).astype(np.float32)


def chain(
    activation: str = "Relu", second: str = "dense", imbalance: np.ndarray = LARGE, **attributes: object
) -> Graph:
    """Return two convolutions over 8 channels that are scaled by `imbalance` in between."""
    group = {} if second == "dense" else {"group": 8}
    following = random_array(4, 8, 1, 1, seed=2) if second == "dense" else random_array(8, 1, 3, 3, seed=2)
    columns = (1, 8, 1, 1) if second == "dense" else (8, 1, 1, 1)
    nodes = [
        helper.make_node("Conv", ["frame", "w", "b"], ["a"]),
        helper.make_node("Conv", ["r", "v"], ["y"], **group),
    ]
    nodes.insert(1, helper.make_node(activation, ["a"], ["r"], **attributes))
    arrays = {
        "w": random_array(8, 3, 3, 3) * imbalance.reshape(8, 1, 1, 1),
        "b": random_array(8) * imbalance,
        "v": following / imbalance.reshape(columns),
    }
    return one_head_graph(nodes, {name: values.astype(np.float32) for name, values in arrays.items()})


def weights(graph: Graph) -> dict[str, np.ndarray]:
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.model.graph.initializer}
    return {
        node.output[0]: arrays[node.input[1]] for node in graph.model.graph.node if node.op_type == "Conv"
    }


@pytest.mark.parametrize("second", ["dense", "depthwise"])
@pytest.mark.parametrize(("activation", "attributes"), [("Relu", {}), ("LeakyRelu", {"alpha": 0.1})])
def test_channels_are_equalized_and_the_results_are_bit_identical(activation, attributes, second):
    graph = chain(activation, second, **attributes)
    before = outputs_of(graph.model)["y"]
    assert equalize_convs(graph) == 1
    onnx.checker.check_model(graph.model, full_check=True)
    np.testing.assert_array_equal(outputs_of(graph.model)["y"], before)
    made, read = (np.abs(values) for values in weights(graph).values())
    ratio = made.max(axis=(1, 2, 3)) / read.max(axis=(0, 2, 3) if second == "dense" else (1, 2, 3))
    assert np.abs(np.log2(ratio)).max() <= 1.0001
    assert equalize_convs(graph) == 0


def test_weights_that_are_integers_stay():
    graph = chain()
    for tensor in graph.model.graph.initializer:
        if tensor.name in "wv":
            weight = numpy_helper.to_array(tensor)
            scales = weight_scales(weight, 0)
            steps = to_int8(weight, scales, 0) * scales.reshape(-1, 1, 1, 1)
            assert not are_integers(weight, 0)
            assert are_integers(steps, 0)
            tensor.CopyFrom(numpy_helper.from_array(steps, tensor.name))
    assert equalize_convs(graph) == 0


def test_a_chain_is_equalized_as_a_whole_and_only_once():
    nodes = [
        helper.make_node("Conv", [source, f"w{i}"], [result])
        for i, (source, result) in enumerate([("frame", "a"), ("a", "b"), ("b", "y")])
    ]
    large = LARGE.reshape(8, 1, 1, 1)
    arrays = {
        "w0": random_array(8, 3, 1, 1) * large,
        "w1": random_array(8, 8, 1, 1) * large,
        "w2": random_array(2, 8, 1, 1) / LARGE.reshape(1, 8, 1, 1),
    }
    graph = one_head_graph(nodes, {name: values.astype(np.float32) for name, values in arrays.items()})
    before = outputs_of(graph.model)["y"]
    assert equalize_convs(graph) == 2
    np.testing.assert_array_equal(outputs_of(graph.model)["y"], before)
    assert equalize_convs(graph) == 0


def test_a_dead_channel_stays_as_it_is():
    imbalance = LARGE.copy()
    graph = chain(imbalance=imbalance)
    for tensor in graph.model.graph.initializer:
        if tensor.name == "w":
            values = numpy_helper.to_array(tensor).copy()
            values[3] = 0
            tensor.CopyFrom(numpy_helper.from_array(values, "w"))
    assert equalize_convs(graph) == 1
    assert all(np.isfinite(values).all() for values in weights(graph).values())


@pytest.mark.parametrize("case", ["ReLU6", "another reader", "a head in between", "already even"])
def test_a_pair_stays_where_scaling_would_change_other_results(case):
    if case == "ReLU6":
        graph = chain()
        graph.model.graph.node[1].CopyFrom(helper.make_node("Clip", ["a", "low", "high"], ["r"]))
        graph.model.graph.initializer.extend(
            [numpy_helper.from_array(np.float32(value), name) for name, value in (("low", 0), ("high", 6))]
        )
    elif case == "another reader":
        graph = chain()
        graph.model.graph.node[2].output[0] = "c"
        graph.model.graph.node.extend(
            [helper.make_node("ReduceMean", ["r"], ["m"]), helper.make_node("Add", ["c", "m"], ["y"])]
        )
    elif case == "a head in between":
        graph = chain()
        graph.model.graph.output.append(
            helper.make_tensor_value_info("r", onnx.TensorProto.FLOAT, [1, 8, 14, 14])
        )
    else:
        graph = chain(imbalance=np.ones(8))
    before = graph.sha256
    assert equalize_convs(graph) == 0
    assert graph.sha256 == before


def error_of_integers(graph: Graph) -> float:
    """Return the mean error of the int8 network on noise, by the mean size of its output."""
    wanted = outputs_of(graph.model)["y"]
    probe = graph.copy()
    probe.model.graph.output.append(helper.make_tensor_value_info("r", onnx.TensorProto.FLOAT, None))
    ranges = {
        name: (float(values.min()), float(values.max()))
        for name, values in {**outputs_of(probe.model), "y": wanted}.items()
    }
    integer = replace(graph.copy(), stage=Stage.PREPARED)
    insert_qdq(integer, {**ranges, "frame": (-3.0, 3.0)}, SCHEME)
    return float(np.abs(outputs_of(integer.model)["y"] - wanted).mean() / np.abs(wanted).mean())


def test_equalization_reduces_the_error_of_uneven_channels():
    graph = chain()
    before = error_of_integers(graph)
    equalize_convs(graph)
    after = error_of_integers(graph)
    assert before > 0.1
    assert after < 0.2 * before
