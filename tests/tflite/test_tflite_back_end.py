"""TFLite files of every precision, run by LiteRT: the same integers as ONNX Runtime, no float but the heads, refusals by name."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from networks import spot_picture, tiny_graph_of
from onnx import helper
from schemes import int8_heads, with_scheme
from small_networks import WIDTH, network_about, node

import calibration
import targets
from toolkit.cli import main
from toolkit.commands import inputs
from toolkit.compiler.build import build
from toolkit.ir.target import Job
from toolkit.passes import prepare
from toolkit.passes.quantize.float_islands import float_islands
from toolkit.passes.quantize.insert_qdq import insert_qdq
from toolkit.runtime import load
from toolkit.runtime.engines import EngineError
from toolkit.runtime.engines.onnxruntime import cpu_options
from toolkit.runtime.preprocess import to_batch
from toolkit.verification import verify as drift

pytest.importorskip("litert_torch")
litert = pytest.importorskip("ai_edge_litert.interpreter")
pytestmark = pytest.mark.tflite
PI5 = targets.load("raspberry-pi-5")
PICTURES = [spot_picture(people, seed=people) for people in range(1, 5)]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """The tiny network for the Raspberry Pi 5 in every precision."""
    ranges = calibration.collect(tiny_graph_of(), PICTURES)
    folder = tmp_path_factory.mktemp("pi5")
    return {precision: build(tiny_graph_of(), PI5, precision, ranges=ranges if precision == "int8" else None, out=folder / precision, golden=PICTURES)
            for precision in PI5.precisions}  # fmt: skip


def qdq_graph(graph, operators=None):
    """Return a float graph with the integers of the TFLite scheme, before it is lowered, and its job."""
    job, prepared = Job(PI5, "int8"), prepare(graph)
    ranges = calibration.collect(prepared, PICTURES).tensors
    for rewrite in PI5.backend.pre_quantize(job):
        rewrite(prepared)
    insert_qdq(prepared, ranges, PI5.backend.scheme(job))
    return prepared, job


def prepare_float(graph):
    """Return a float graph with the frame of the back end, before it is lowered, and its job."""
    job, prepared = Job(PI5, "float32"), prepare(graph)
    for rewrite in PI5.backend.pre_quantize(job):
        rewrite(prepared)
    return prepared, job


def file_operators(content):
    """Return (operator, types of its inputs, type of its output) of every operator of a TFLite file."""
    from ai_edge_litert import schema_py_generated as schema

    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph, codes = model.subgraphs[0], model.operatorCodes
    kinds = [
        max(codes[operator.opcodeIndex].builtinCode, codes[operator.opcodeIndex].deprecatedBuiltinCode)
        for operator in graph.operators
    ]
    return [(names[kind], {graph.tensors[i].type for i in operator.inputs if i >= 0}, graph.tensors[operator.outputs[0]].type)
            for kind, operator in zip(kinds, graph.operators, strict=True)]  # fmt: skip


def constant_bytes(content):
    """Return the bytes of the real-valued constants of a TFLite file."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    real = {
        tensor.buffer
        for tensor in model.subgraphs[0].tensors
        if tensor.type in (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)
    }
    return sum(len(model.buffers[index].data) for index in real if model.buffers[index].data is not None)


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
    found = drift.verify_golden(bundles[precision])
    assert found, str(found)
    assert found.people == 10


# This is the debugging that the warning says it is for.
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
    assert drift.verify_golden(bundle)


def test_scales_that_tflite_fixes_or_shares_are_kept():
    """Sigmoid, Concat, MaxPool, nearest Resize, Mul and averages in integers, where the converter must find nothing to rescale."""
    nodes = [
        node("Sigmoid", "before", "gate"), node("Mul", "before gate", "gated"),
        node("MaxPool", "gated", "peaks", kernel_shape=[2, 2], strides=[2, 2]), node("AveragePool", "gated", "means", kernel_shape=[2, 2], strides=[2, 2]),
        node("Concat", "peaks means", "both", axis=1), node("Conv", "both w", "narrow"),
        node("Resize", "narrow - scales", "wide", mode="nearest"), node("Add", "wide before", "after"),
    ]  # fmt: skip
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


def test_consecutive_transposes_are_merged():
    """A map that is read as it lies, turned, and turned by way of another order: what the converter makes of maps that are read in two orders."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    from targets._litert.flatbuffer import read_model
    from targets._litert.join_transposes import join_transposes

    sizes = {"x": (1, 2, 3, 4), "turned": (1, 4, 2, 3), "back": (1, 2, 3, 4), "other": (1, 4, 3, 2)}
    moves = [
        ("x", "turned", (0, 3, 1, 2)),
        ("turned", "back", (0, 2, 3, 1)),
        ("turned", "other", (0, 1, 3, 2)),
    ]
    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.TRANSPOSE
    negative = schema.OperatorCodeT()
    negative.builtinCode = negative.deprecatedBuiltinCode = schema.BuiltinOperator.NEG
    model.version, model.operatorCodes, model.buffers, model.subgraphs = (
        3,
        [code, negative],
        [schema.BufferT()],
        [graph],
    )
    graph.tensors, graph.operators, number = [], [], {}

    def tensor(name, shape, kind, values=None):
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name.encode(), list(shape), kind, 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.asarray(values, np.int32).view(np.uint8)
            model.buffers.append(buffer)
            made.buffer = len(model.buffers) - 1
        graph.tensors.append(made)
        number[name] = len(graph.tensors) - 1

    def operator(kind, inputs, output):
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = (
            kind,
            [number[name] for name in inputs],
            [number[output]],
        )
        graph.operators.append(made)

    for name, shape in sizes.items():
        tensor(name, shape, schema.TensorType.FLOAT32)
    tensor("result", sizes["back"], schema.TensorType.FLOAT32)
    for source, result, order in moves:
        tensor(f"{result}/order", (4,), schema.TensorType.INT32, order)
        operator(0, [source, f"{result}/order"], result)
    operator(1, ["back"], "result")
    graph.inputs, graph.outputs = [number["x"]], [number["result"], number["other"]]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    content = bytes(builder.Output())
    joined = join_transposes(content)
    assert [name for name, _, _ in file_operators(joined)] == ["TRANSPOSE", "NEG"]
    assert join_transposes(joined) == joined
    found = []
    for each in (content, joined):
        interpreter = litert.Interpreter(model_content=each)
        interpreter.allocate_tensors()
        interpreter.set_tensor(
            interpreter.get_input_details()[0]["index"], np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
        )
        interpreter.invoke()
        found.append(
            [interpreter.get_tensor(output["index"]).copy() for output in interpreter.get_output_details()]
        )
    for before, after in zip(*found, strict=True):
        np.testing.assert_array_equal(before, after)
    assert len(read_model(joined).subgraphs[0].outputs) == 2


def test_equal_networks_give_equal_bytes(bundles, tmp_path):
    PI5.backend._CACHE.clear()  # or nothing would be converted again
    again = build(tiny_graph_of(), PI5, "float32", ranges=None, out=tmp_path / "again", golden=PICTURES)
    assert again.files == bundles["float32"].files


def test_the_engine_describes_itself_and_refuses_other_batches(bundles):
    engine = load(bundles["int8"].folder, threads=2).engine
    told = engine.describe()
    assert (told["library"], told["threads"], told["kernels"]) == ("ai_edge_litert", "2", "XNNPACK")
    with pytest.raises(
        EngineError, match=r"failed on a batch uint8 .*: the model takes int8 \(1, 64, 96, 3\)"
    ):
        engine(np.zeros((1, 64, 96, 3), np.uint8))
    first = engine(np.zeros((1, 64, 96, 3), np.int8))
    assert engine(np.zeros((1, 64, 96, 3), np.int8))["centre"].shape == first["centre"].shape == (1, 8, 12)


def test_the_engine_refuses_what_is_no_tflite_file(bundles, tmp_path):
    from toolkit.runtime.engines.tflite import Engine

    (tmp_path / "model.tflite").write_bytes(b"not a model")
    with pytest.raises(EngineError, match=r"ai_edge_litert .* cannot open"):
        Engine(str(tmp_path / "model.tflite"), bundles["int8"])


def test_without_a_library_the_engine_says_what_to_install(bundles, monkeypatch):
    for name in ("ai_edge_litert", "tflite_runtime"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(
        EngineError, match=r"engine 'tflite' cannot be imported.*: pip install ai-edge-litert"
    ):
        load(bundles["int8"].folder)


def test_the_command_prints_json_and_its_steps_and_nothing_else(tiny_checkpoint, tmp_path):
    asked = [
        "export",
        str(tiny_checkpoint),
        "--target",
        "raspberry-pi-4",
        "--precision",
        "float32",
        "-o",
        str(tmp_path / "pi4"),
        "--json",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "toolkit", *asked], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["target"] == "raspberry-pi-4"
    assert done.stderr.split() == ["prepare", "rewrite", "lower", "golden"]


def test_an_export_reports_float_islands_and_their_cause(tiny_checkpoint, people_pictures, tmp_path, capsys):
    calibration.collect(inputs.checkpoint(tiny_checkpoint), people_pictures).save(tmp_path / "ranges.json")
    asked = [
        "export",
        tiny_checkpoint,
        "--target",
        "raspberry-pi-5",
        "--precision",
        "int8",
        "--calibration",
        tmp_path / "ranges.json",
    ]
    said = []
    for more in (["-o", tmp_path / "said"], ["-o", tmp_path / "as-json", "--json"]):
        assert main([str(word) for word in [*asked, *more]]) == 0
        said.append(capsys.readouterr().out)
    plain = json.loads(said[1])
    assert plain["float_islands"] == 1
    assert "float islands: 1 (the heads' last layers, " in said[0]
    assert said[0].rstrip().endswith(", ".join(plain["float_layers"]))
