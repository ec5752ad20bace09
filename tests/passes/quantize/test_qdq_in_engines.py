"""Engines compute the operators between Q and DQ in integers, and the others in float."""

import numpy as np
import onnx
import onnxruntime
import pytest
from schemes import (
    with_activations,
)
from small_graphs import AFFINE, convolution, kinds, observed, run, small_graph

from toolkit.passes.quantize.insert_qdq import insert_qdq
from toolkit.runtime.engines.onnxruntime import cpu_options


def test_onnx_runtime_computes_the_integers_as_integers(tiny, tmp_path):
    graph, ranges, _ = tiny
    integer = graph.copy()
    insert_qdq(integer, ranges, AFFINE)
    options = cpu_options(onnxruntime)
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        integer.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    optimized = kinds(onnx.load(options.optimized_model_filepath))
    heads = len(graph.spec.heads)
    assert optimized.count("QLinearConv") == kinds(graph.model).count("Conv") - heads
    assert optimized.count("QLinearAdd") == kinds(graph.model).count("Add")
    assert optimized.count("Conv") + optimized.count("FusedConv") == heads


def test_onnx_runtime_leaves_a_layer_float_that_was_left_float():
    """Between integers it would round weights with one scale for all channels, and lose the small ones."""
    rng = np.random.default_rng(0)
    uneven = np.exp2(np.arange(8.0) * 2 - 8).reshape(8, 1, 1, 1)
    nodes, arrays = [], []
    for name, source, weight, more in (
        ("a", "frame", rng.normal(0, 0.4, (8, 3, 1, 1)), {}),
        ("b", "a.y", rng.normal(0, 0.4, (8, 1, 3, 3)) * uneven, {"group": 8, "pads": [1, 1, 1, 1]}),
        ("c", "b.y", rng.normal(0, 0.4, (4, 8, 1, 1)) / uneven.reshape(1, 8, 1, 1), {}),
    ):
        made = convolution(name, source, weight, **more)
        nodes, arrays = nodes + made[0], arrays + made[1]
    graph = small_graph(nodes, arrays, "c.y", [1, 4, 8, 8])
    frame = rng.standard_normal((1, 3, 8, 8)).astype(np.float32)
    insert_qdq(graph, observed(graph.model, [frame]), AFFINE, keep_float=["b"])
    options = cpu_options(onnxruntime)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(
        graph.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    wanted, got = plain.run(None, {"frame": frame})[0], run(graph.model, frame)["c.y"]
    # A step or two, where a half is rounded the other way.
    assert np.abs(wanted - got).max() < 0.02 * np.abs(wanted).max()


@pytest.mark.openvino
@pytest.mark.parametrize(
    "scheme", [AFFINE, with_activations(AFFINE, quantize_results=False)], ids=["outputs", "inputs"]
)
def test_openvino_computes_the_integers_as_integers(tiny, scheme):
    openvino = pytest.importorskip("openvino")
    graph, ranges, _ = tiny
    integer = graph.copy()
    insert_qdq(integer, ranges, scheme)
    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(integer.model.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    layers = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    precisions = [
        layer["runtimePrecision"].astype(str)
        for layer in layers
        if "Convolution" in layer["layerType"].astype(str)
    ]
    assert precisions.count("f32") <= len(graph.spec.heads)
    assert sum(name in ("u8", "i8") for name in precisions) == kinds(graph.model).count("Conv") - len(
        graph.spec.heads
    )
