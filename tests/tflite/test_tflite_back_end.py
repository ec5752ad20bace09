"""TFLite files of every precision in LiteRT: the integers of ONNX Runtime, and float only in the heads."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from networks import tiny_graph_of
from onnx import helper
from schemes import int8_heads, with_scheme
from small_networks import WIDTH, network_about, node

import calibration
from toolkit.compiler.build import build
from toolkit.device.golden_check import verify_golden
from toolkit.passes import prepare
from toolkit.passes.quantize.float_islands import float_islands
from toolkit.runtime import load
from toolkit.runtime.engines.onnxruntime import cpu_options
from toolkit.runtime.preprocess import to_batch

pytest.importorskip("litert_torch")
litert = pytest.importorskip("ai_edge_litert.interpreter")
from tflite_files import PI5, PICTURES, constant_bytes, file_operators, qdq_graph  # noqa: E402

pytestmark = pytest.mark.tflite


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("float16", 5e-3)])
def test_floats_are_those_of_onnx_runtime(bundles, precision, tolerance):
    from toolkit.ir.float_engine import float_estimator

    estimator, floating = (
        load(bundles[precision].folder, threads=1),
        float_estimator(tiny_graph_of(), threads=1),
    )
    for picture in PICTURES:
        heads, wanted = estimator.heads(picture), floating.heads(picture)
        for name, values in wanted.items():
            np.testing.assert_allclose(heads[name], values, atol=tolerance, err_msg=name)


def test_float16_is_stored_as_such(bundles):
    content = {precision: bundle.model_path.read_bytes() for precision, bundle in bundles.items()}
    assert b"fp16accfp16" in content["float16"]
    assert (
        sum(name == "DEQUANTIZE" for name, _, _ in file_operators(content["float16"])) == 16
    )  # eight layers: heads are one
    assert 2 * constant_bytes(content["float16"]) == constant_bytes(content["float32"])


@pytest.mark.parametrize("precision", PI5.precisions)
def test_people_are_found_again_within_the_allowance(bundles, precision):
    found = verify_golden(bundles[precision])
    assert found, str(found)
    assert found.people == 10


# The warning recommends this option for debugging.
@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors:UserWarning")
def test_integers_are_those_of_onnx_runtime_within_one_step():
    """What the last integer layer puts out, after eleven layers, in the integers of both."""
    graph, job = qdq_graph(tiny_graph_of())
    content = PI5.backend.lower(graph, job)["model.tflite"]
    (last,) = {
        graph_node.input[0]
        for island in float_islands(graph.model, PI5.backend.SCHEME.operators)
        for graph_node in island
        if graph_node.op_type == "Conv"
    }
    scale, zero_point = (float(value) for value in _integers(graph, last))
    graph.model.graph.output.append(helper.make_tensor_value_info(last, 1, None))
    session = onnxruntime.InferenceSession(
        graph.model.SerializeToString(), cpu_options(onnxruntime), providers=["CPUExecutionProvider"]
    )
    interpreter = litert.Interpreter(
        model_content=content, experimental_preserve_all_tensors=True, num_threads=1
    )
    interpreter.allocate_tensors()
    (result,) = [
        operator["outputs"][0]
        for operator in interpreter._get_ops_details()
        if operator["op_name"] == "DEQUANTIZE"
    ]
    steps = []
    for picture in PICTURES:
        batch, _ = to_batch(picture, graph.spec, graph.frame)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], batch)
        interpreter.invoke()
        mine = np.rint(interpreter.get_tensor(result).transpose(0, 3, 1, 2) / scale + zero_point)
        theirs = np.rint(session.run([last], {graph.input_name: batch})[0] / scale + zero_point)
        steps.append(np.abs(mine - theirs))
    assert len(np.unique(theirs)) > 50
    assert np.max(steps) <= 1
    assert np.mean(steps) < 0.1


def _integers(graph, tensor):
    (dequantize,) = [graph_node for graph_node in graph.model.graph.node if tensor in graph_node.output]
    constants = {constant.name: constant for constant in graph.model.graph.initializer}
    from onnx import numpy_helper

    return [numpy_helper.to_array(constants[name]) for name in dequantize.input[1:3]]


def test_int8_is_integer_from_the_pixels_to_the_heads(bundles):
    from ai_edge_litert.schema_py_generated import TensorType

    bundle = bundles["int8"]
    assert (bundle.frame.dtype, bundle.frame.layout, bundle.frame.colour_order) == ("int8", "NHWC", "BGR")
    assert dict(bundle.passes)["check_float_islands"] == 1
    operators = file_operators(bundle.model_path.read_bytes())
    floating = [name for name, _, result in operators if result == TensorType.FLOAT32]
    assert sorted(floating) == sorted(
        ["DEQUANTIZE", "CONV_2D", *["SLICE"] * 5, "LOGISTIC", *["TANH"] * 4, *["MUL"] * 2]
    )
    integer = [name for name, _, result in operators if result == TensorType.INT8]
    assert len(integer) == 14  # eleven layers, and three paddings
    interpreter = litert.Interpreter(str(bundle.model_path))
    assert interpreter.get_input_details()[0]["dtype"] == np.int8
    assert interpreter.get_input_details()[0]["quantization"] == (1.0, 0)


def test_integer_heads_are_returned_as_floats(bundles, tmp_path):
    board = with_scheme(PI5, int8_heads(PI5.backend.SCHEME))
    bundle = build(
        tiny_graph_of(),
        board,
        "int8",
        ranges=calibration.collect(tiny_graph_of(), PICTURES),
        out=tmp_path / "integers",
        golden=PICTURES,
    )
    mine, theirs = (
        load(folder, threads=1).heads(PICTURES[3]) for folder in (bundle.folder, bundles["float32"].folder)
    )
    for name, values in theirs.items():
        head = tiny_graph_of().spec.heads[name]
        assert np.abs(mine[name] - values).mean() < 0.03 * (head.high - head.low), name


@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_single_layer_kept_float_is_float_in_the_file(place, tmp_path):
    """The converter would give such a layer integers of its own."""
    from targets._litert.flatbuffer import count_float_islands

    prepared = prepare(tiny_graph_of())
    layer = [graph_node.name for graph_node in prepared.model.graph.node if graph_node.op_type == "Conv"][
        place
    ]
    ranges = calibration.collect(tiny_graph_of(), PICTURES)
    bundle = build(
        tiny_graph_of(), PI5, "int8", ranges=ranges, out=tmp_path / "one", golden=PICTURES, keep_float=[layer]
    )
    assert layer in bundle.float_layers
    assert dict(bundle.passes)["check_float_islands"] == 2
    assert count_float_islands(bundle.model_path.read_bytes()) == 2
    assert verify_golden(bundle)


def test_scales_that_tflite_fixes_or_shares_are_kept():
    """Sigmoid, Concat, MaxPool, nearest Resize, Mul and averages in integers, without any rescaling."""
    nodes = [
        node("Sigmoid", "before", "gate"),
        node("Mul", "before gate", "gated"),
        node("MaxPool", "gated", "peaks", kernel_shape=[2, 2], strides=[2, 2]),
        node("AveragePool", "gated", "means", kernel_shape=[2, 2], strides=[2, 2]),
        node("Concat", "peaks means", "both", axis=1),
        node("Conv", "both w", "narrow"),
        node("Resize", "narrow - scales", "wide", mode="nearest"),
        node("Add", "wide before", "after"),
    ]
    weights = np.random.default_rng(3).normal(0, 0.4, (WIDTH, 2 * WIDTH, 1, 1)).astype(np.float32)
    graph, job = qdq_graph(network_about(nodes, {"w": weights, "scales": np.array([1, 1, 2, 2], np.float32)}))
    content = PI5.backend.lower(graph, job)["model.tflite"]
    names = [name for name, _, _ in file_operators(content)]
    assert "QUANTIZE" not in names  # one would be a rescaling
    session = onnxruntime.InferenceSession(
        graph.model.SerializeToString(), cpu_options(onnxruntime), providers=["CPUExecutionProvider"]
    )
    interpreter = litert.Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    batch, _ = to_batch(PICTURES[3], graph.spec, graph.frame)
    wanted = dict(zip(graph.heads, session.run(list(graph.heads), {graph.input_name: batch}), strict=True))
    found = interpreter.get_signature_runner("serving_default")(args_0=batch)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name].transpose(0, 3, 1, 2), values, atol=0.06, err_msg=name)
        assert np.abs(found[name].transpose(0, 3, 1, 2) - values).mean() < 0.01, name
