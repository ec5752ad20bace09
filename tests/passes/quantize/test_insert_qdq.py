from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from networks import tiny_graph_of, tiny_spec
from onnx import TensorProto, helper, numpy_helper
from schemes import (
    SYMMETRIC,
    UINT8,
    int8_heads,
    with_activations,
    with_exceptions,
    with_weights,
)

from toolkit.errors import PosecError
from toolkit.ir.graph import Graph, Stage
from toolkit.passes import prepare
from toolkit.passes.edit.graph_index import head_layers, index_graph, layer_name, weighted_layers
from toolkit.passes.quantize.float_layers import float_layers, stays_float
from toolkit.passes.quantize.insert_qdq import insert_qdq
from toolkit.passes.quantize.qparams import to_int8, weight_scales
from toolkit.runtime.engines.onnxruntime import cpu_options
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.preprocess import to_batch

AFFINE = replace(
    UINT8,
    operators=("Conv", "Add", "AveragePool", "Resize", "Concat"),
    activations=replace(UINT8.activations, same_scale=("Resize", "Concat")),
)


def run(model: onnx.ModelProto, frame: np.ndarray) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), cpu_options(onnxruntime), providers=["CPUExecutionProvider"]
    )
    return dict(
        zip(
            [o.name for o in session.get_outputs()],
            session.run(None, {session.get_inputs()[0].name: frame}),
            strict=True,
        )
    )


def observed(model: onnx.ModelProto, frames: list[np.ndarray]) -> dict[str, tuple[float, float]]:
    """Return (low, high) of every tensor of a float model."""
    every = onnx.ModelProto.FromString(model.SerializeToString())
    named = {value.name for value in every.graph.output}
    every.graph.output.extend(
        helper.make_empty_tensor_value_info(n)
        for node in every.graph.node
        for n in node.output
        if n not in named
    )
    values = [{**run(every, frame), every.graph.input[0].name: frame} for frame in frames]
    return {
        name: (min(float(v[name].min()) for v in values), max(float(v[name].max()) for v in values))
        for name in values[0]
    }


def convolution(
    name: str, source: str, weight: np.ndarray, bias: np.ndarray | None = None, **attributes: object
) -> tuple[list, list]:
    arrays = [numpy_helper.from_array(weight.astype(np.float32), f"{name}.w")]
    arrays += [] if bias is None else [numpy_helper.from_array(bias.astype(np.float32), f"{name}.b")]
    return [
        helper.make_node("Conv", [source, *(a.name for a in arrays)], [f"{name}.y"], name, **attributes)
    ], arrays


def small_graph(
    nodes: list,
    arrays: list,
    output: str,
    shape: list[int],
    *,
    dtype: int = TensorProto.FLOAT,
    input_shape: tuple[int, ...] = (1, 3, 8, 8),
) -> Graph:
    """Return nodes as a prepared Graph without the heads that a pose network has."""
    spec = tiny_spec()
    frame = helper.make_tensor_value_info("frame", dtype, list(input_shape))
    graph = helper.make_graph(
        nodes, "small", [frame], [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)], arrays
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return Graph(model, spec, FrameInput(), {}, stage=Stage.PREPARED)


@pytest.fixture(scope="module")
def tiny() -> tuple[Graph, dict, list[np.ndarray]]:
    graph = prepare(tiny_graph_of())
    random = np.random.default_rng(3)
    frames = [
        to_batch(random.integers(0, 256, (64, 96, 3)).astype(np.uint8), graph.spec, graph.frame)[0]
        for _ in range(4)
    ]
    return graph, observed(graph.model, frames), frames


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


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


def test_nothing_stands_between_a_convolution_and_its_relu(tiny):
    graph, ranges, _ = tiny
    integer = graph.copy()
    insert_qdq(integer, ranges, AFFINE)
    found = index_graph(integer.model)
    rectifiers = [node for node in integer.model.graph.node if node.op_type in ("Relu", "Clip")]
    assert rectifiers
    assert {found.producers[node.input[0]].op_type for node in rectifiers} <= {"Conv", "Add"}


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
    """Between integers it would round the weights itself, with one scale for channels of any size, and small channels were gone."""
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
    insert_qdq(graph, observed(graph.model, [frame]), AFFINE, ["b"])
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


def test_depthwise_convolutions_stay_float_where_the_scheme_says_so(tiny):
    graph, ranges, _ = tiny
    integer, scheme = graph.copy(), with_exceptions(SYMMETRIC, float_depthwise=True)
    insert_qdq(integer, ranges, scheme)
    found = index_graph(graph.model)
    depthwise = {
        layer_name(node)
        for node in weighted_layers(graph.model)
        if found.array(node.input[1]).shape[1] == 1 and len(found.array(node.input[1])) > 1
    }
    assert depthwise
    assert depthwise <= set(float_layers(integer))
    assert {stays_float(graph, scheme)[name] for name in depthwise} == {
        "scheme 's8' leaves depthwise convolutions float"
    }
    assert len(float_layers(integer)) < len(weighted_layers(graph.model))


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


def test_what_stays_float_is_named_with_its_reason(tiny):
    graph, ranges, _ = tiny
    first = layer_name(weighted_layers(graph.model)[0])
    reasons = stays_float(graph, AFFINE, [first])
    assert reasons[first] == "asked for"
    assert reasons[head_layers(graph)["depth"][0]] == "among the last layers of head 'depth'"
    integer = graph.copy()
    insert_qdq(integer, ranges, AFFINE, [first])
    assert set(float_layers(integer)) == {first, *(names[0] for names in head_layers(graph).values())}
    assert float_layers(graph) == [layer_name(node) for node in weighted_layers(graph.model)]


def test_heads_keep_their_names_where_they_are_integers(tiny):
    graph, ranges, frames = tiny
    integer = graph.copy()
    insert_qdq(integer, ranges, int8_heads(AFFINE, operators=(*AFFINE.operators, "Sigmoid", "Tanh")))
    assert integer.heads == graph.heads
    assert not float_layers(integer)
    levels = np.unique(run(integer.model, frames[0])["embedding"])
    assert len(levels) <= 256
    assert index_graph(integer.model).producers["embedding"].op_type == "DequantizeLinear"


def test_named_heads_may_be_integers_among_float_ones(tiny):
    graph, ranges, frames = tiny
    integer = graph.copy()
    insert_qdq(integer, ranges, with_exceptions(AFFINE, integer_heads=("offset", "depth")))
    last = {head: names[0] for head, names in head_layers(graph).items()}
    assert set(float_layers(integer)) == {last[head] for head in ("centre", "embedding", "rotation")}
    found = index_graph(integer.model)
    results = {node.name: node.output[0] for node in integer.model.graph.node}
    for head, reader in (("offset", "QuantizeLinear"), ("embedding", "Tanh")):
        assert [node.op_type for node in found.readers[results[last[head]]]] == [reader]
    assert all(len(np.unique(run(integer.model, frame)["offset"][0, 0])) > 3 for frame in frames)


def test_same_scale_operators_share_it_and_runtimes_may_fix_outputs():
    nodes, arrays = convolution("a", "frame", np.random.default_rng(0).normal(size=(2, 3, 1, 1)))
    scales = numpy_helper.from_array(np.asarray([1, 1, 2, 2], np.float32), "scales")
    nodes += [helper.make_node("Sigmoid", ["a.y"], ["s"]), helper.make_node("Resize", ["s", "", "scales"], ["r"], mode="linear"),
              helper.make_node("Concat", ["r", "r"], ["c"], axis=1), helper.make_node("Neg", ["c"], ["out"])]  # fmt: skip
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


def folded_frame(offsets: list[float]) -> Graph:
    """Return a uint8 NHWC frame before a convolution: through DequantizeLinear, or through a subtraction of three means."""
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
    return small_graph([*nodes, *conv, helper.make_node("Relu", ["a.y"], ["out"])], [*extra, *arrays], "out", [1, 4, 8, 8],
                       dtype=TensorProto.UINT8, input_shape=(1, 8, 8, 3))  # fmt: skip


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
    assert insert_qdq(graph, observed(graph.model, [frame]), int8_heads(AFFINE), ["a", "b"]) == 1
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
        ({"keep": ["nobody"]}, "no layer 'nobody' to keep float; the layers with weights are a"),
        ({"ranges": {}}, "no range for tensor 'a.y'; calibrate again, on this graph"),
        (
            {"stage": Stage.TRACED},
            r"pass 'insert_qdq' requires a graph that is prepared \(opset 13, batch norms folded.*is traced; start",
        ),
        ({"stage": Stage.QUANTIZED}, "'insert_qdq' requires .* prepared .* this one is quantized"),
    ],
)
def test_what_cannot_be_quantized_is_refused(change, message):
    nodes, arrays = convolution("a", "frame", np.ones((3, 3, 1, 1)))
    graph = small_graph(nodes, arrays, "a.y", [1, 3, 8, 8])
    graph.stage = change.get("stage", Stage.PREPARED)
    with pytest.raises(PosecError, match=message):
        insert_qdq(
            graph,
            change.get("ranges", {"frame": (0, 1), "a.y": (0, 1)}),
            int8_heads(AFFINE),
            change.get("keep", ()),
        )


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


def test_the_last_layers_of_heads_may_multiply_integers_and_write_floats(tiny):
    graph, ranges, frames = tiny
    errors = []
    for scheme in (int8_heads(AFFINE), with_exceptions(AFFINE, head_weights=True), AFFINE):
        integer = graph.copy()
        insert_qdq(integer, ranges, scheme)
        found = index_graph(integer.model)
        last = [
            node
            for node in integer.model.graph.node
            if node.op_type == "Conv" and any(node.name in names for names in head_layers(graph).values())
        ]
        assert len(last) == 5
        assert {found.producers[node.input[1]].op_type if node.input[1] in found.producers else "" for node in last} == (
            {""} if scheme is AFFINE else {"DequantizeLinear"})  # fmt: skip
        assert {reader.op_type for node in last for reader in found.readers[node.output[0]]} == (
            {"Sigmoid", "Tanh"} if scheme.exceptions.float_heads else {"QuantizeLinear"})  # fmt: skip
        pairs = [(run(graph.model, frame), run(integer.model, frame)) for frame in frames]
        errors.append(
            np.mean([np.abs(wanted[name] - got[name]).mean() for wanted, got in pairs for name in wanted])
        )
    with_integers, weights_alone, floats = errors
    assert floats < weights_alone < with_integers
    assert float_layers(graph) == [node.name for node in weighted_layers(graph.model)]
