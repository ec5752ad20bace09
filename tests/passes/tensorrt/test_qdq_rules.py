"""Exact pixels, released float layers, and the layers that the DLA leaves to the GPU."""

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import tiny_graph_of, tiny_spec
from onnx import numpy_helper, parser

from toolkit.ir.graph import Stage, run_passes
from toolkit.passes import prepare
from toolkit.passes.lower.drop_one_sided_qdq import drop_one_sided_qdq
from toolkit.passes.lower.fold_preprocessing import fold_frame
from toolkit.passes.lower.quantize_input import quantize_input
from toolkit.passes.tensorrt.dla_rules import dla_obstacles
from toolkit.runtime.engines.onnxruntime import cpu_options
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.preprocess import to_batch

PIXELS = FrameInput("uint8", "NHWC", "BGR", normalized=False)


def heads(graph, picture):
    session = onnxruntime.InferenceSession(
        graph.model.SerializeToString(), cpu_options(onnxruntime), providers=["CPUExecutionProvider"]
    )
    batch, _ = to_batch(picture, graph.spec, graph.frame)
    return session.run(None, {graph.input_name: batch})


def of_text(body, constants, frame="float[1,4,8,8] x"):
    """Return the tiny network's Graph with its model replaced by one in ONNX's text form."""
    graph = tiny_graph_of()
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 13]> g ({frame}) => (float[1,4,8,8] y) {{ {body} }}'
    )
    model.graph.initializer.extend(
        numpy_helper.from_array(np.asarray(values), name) for name, values in constants.items()
    )
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    graph.model.CopyFrom(model)
    graph.stage = Stage.QUANTIZED
    return graph


def test_pixels_become_integers_without_loss(tiny_graph, people_pictures):
    graph = prepare(tiny_graph)
    run_passes(graph, [fold_frame(PIXELS, cast=True)])
    before = heads(graph, people_pictures[4])
    assert quantize_input(graph) == 1
    onnx.checker.check_model(graph.model, full_check=True)
    for a, b in zip(before, heads(graph, people_pictures[4]), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("spec", "frame"),
    [
        (tiny_spec(mean=(120.0, 128.0, 128.0)), PIXELS),
        (tiny_spec(mean=(127.0,) * 3), PIXELS),
        (tiny_spec(), FrameInput("float32", "NHWC", "BGR", normalized=False)),
    ],
    ids=["three means", "mean 127", "float pictures"],
)
def test_pixels_of_another_mean_stay(spec, frame):
    graph = prepare(tiny_graph_of(spec))
    run_passes(graph, [fold_frame(frame, cast=True)])
    before = graph.sha256
    assert quantize_input(graph) == 0
    assert graph.sha256 == before


INTEGERS = {
    "s": np.float32(0.1),
    "z": np.int8(0),
    "ws": np.full(4, 0.1, np.float32),
    "wz": np.zeros(4, np.int8),
}
QUANTIZED = "xq = QuantizeLinear(x, s, z) xd = DequantizeLinear(xq, s, z) "
WEIGHT = "wq = QuantizeLinear<axis=0>(w, ws, wz) wd = DequantizeLinear<axis=0>(wq, ws, wz) "


def test_integers_with_another_reader_stay():
    constants = {**INTEGERS, "w": np.ones((4, 4, 1, 1), np.float32)}
    graph = of_text(QUANTIZED + WEIGHT + "a = Conv(xd, w) b = Conv(xd, wd) y = Add(a, b)", constants)
    assert drop_one_sided_qdq(graph) == 1
    reads = {node.output[0]: list(node.input) for node in graph.model.graph.node}
    assert (reads["a"], reads["b"]) == (["x", "w"], ["xd", "wd"])
    assert drop_one_sided_qdq(graph) == 0


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (QUANTIZED + "y = Conv(xd, w)", 1),
        (WEIGHT + "y = Conv(x, wd)", 1),
        (QUANTIZED + WEIGHT + "y = Conv(xd, wd)", 0),
        ("y = Conv(x, w)", 0),
    ],
    ids=["float weight", "float input", "int8", "float"],
)
def test_a_layer_is_int8_or_float_as_a_whole(body, count):
    graph = of_text(body, {**INTEGERS, "w": np.ones((4, 4, 1, 1), np.float32)})
    assert drop_one_sided_qdq(graph) == count
    quantizers = [node for node in graph.model.graph.node if node.op_type == "QuantizeLinear"]
    assert len(quantizers) == (0 if count or "Quantize" not in body else 2)


K = {
    "k": np.asarray([1, 1, 2, 2], np.float32),
    "w": np.ones((4, 4, 3, 3), np.float32),
    "one": np.ones((1, 4, 1, 1), np.float32),
    "big": np.ones((4, 4, 33, 33), np.float32),
    "low": np.float32(0),
    "high": np.float32(6),
    "minus": np.float32(-3),
}
ON_DLA = {
    "convolution": "y = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w)",
    "ReLU6": "y = Clip(x, low, high)",
    "sum of maps": "a = Relu(x) y = Add(a, x)",
    "bilinear": 'y = Resize<mode="linear", coordinate_transformation_mode="half_pixel">(x, , k)',
    "pooling": "y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x)",
    "concatenation": "y = Concat<axis=1>(x, x)",
}
ON_GPU = {
    "large kernel": ("y = Conv<kernel_shape=[33,33]>(x, big)", "kernel 33, the DLA takes 1 to 32"),
    "large stride": ("y = Conv<kernel_shape=[3,3], strides=[9,9]>(x, w)", "stride 9, the DLA takes 1 to 8"),
    "padding as wide as the kernel": (
        "y = Conv<kernel_shape=[3,3], pads=[3,3,3,3]>(x, w)",
        "padding 3, the DLA takes 0 to 2",
    ),
    "clip below 0": ("y = Clip(x, minus, high)", "it clips to -3.0 … 6.0, the DLA to 0 … 1 to 127"),
    "open clip": ("y = Clip(x, low)", "it clips to 0.0 … None"),
    "constant operand": ("y = Mul(x, one)", "an operand is constant"),
    "asymmetric bilinear": (
        'y = Resize<mode="linear", coordinate_transformation_mode="asymmetric">(x, , k)',
        "with asymmetric coordinates",
    ),
    "negation": ("y = Neg(x)", "the DLA has no Neg"),
    "rows joined": ("y = Concat<axis=2>(x, x)", "along another axis"),
    "large pooling kernel": (
        "y = AveragePool<kernel_shape=[9,9], pads=[4,4,4,4]>(x)",
        "kernel 9, the DLA takes 1 to 8",
    ),
    "transposed with padding": (
        "y = ConvTranspose<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w)",
        "padding of a transposed convolution 1",
    ),
    "quantized": (
        "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)",
        "the DLA does not support explicit quantization",
    ),
}


@pytest.mark.parametrize("name", ON_DLA)
def test_layers_that_the_dla_takes(name):
    assert dla_obstacles(of_text(ON_DLA[name], K)) == {}


@pytest.mark.parametrize("name", ON_GPU)
def test_layers_that_fall_back_to_the_gpu_have_a_reason(name):
    body, why = ON_GPU[name]
    reasons = dla_obstacles(of_text(body, {**K, **INTEGERS}))
    assert any(why in reason for reason in reasons.values())
    assert len(reasons) == body.count(" = ")
