"""TFLite files: transposes are joined, float layers stay float, and unexpected float layers are refused."""

from __future__ import annotations

import numpy as np
import pytest
from networks import tiny_graph_of
from small_networks import WIDTH, network_about, node

from toolkit.errors import PosecError
from toolkit.passes.quantize.float_islands import float_islands

pytest.importorskip("litert_torch")
litert = pytest.importorskip("ai_edge_litert.interpreter")
from tflite_files import PI5, file_operators, qdq_graph  # noqa: E402

pytestmark = pytest.mark.tflite


def test_consecutive_transposes_are_merged():
    """A map with readers in its own order, transposed, and transposed twice, as the converter writes."""
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


def test_a_transposed_convolution_between_integer_layers_stays_float():
    """The converter would quantize such a layer: TFLite's scheme has no integer ConvTranspose."""
    from targets._litert.flatbuffer import count_float_islands

    nodes = [
        node("AveragePool", "before", "half", kernel_shape=[2, 2], strides=[2, 2]),
        node("ConvTranspose", "half w", "wide", strides=[2, 2]),
        node("Add", "wide before", "after"),
    ]
    weights = np.random.default_rng(3).normal(0, 0.4, (WIDTH, WIDTH, 2, 2)).astype(np.float32)
    graph, job = qdq_graph(network_about(nodes, {"w": weights}))
    content = PI5.backend.lower(graph, job)["model.tflite"]
    assert count_float_islands(content) == len(float_islands(graph.model, PI5.backend.SCHEME.operators))
    assert "TRANSPOSE_CONV" in [name for name, _, _ in file_operators(content)]


def test_an_unexpected_number_of_float_islands_is_refused_with_the_float_layers(monkeypatch):
    from targets._litert import flatbuffer

    monkeypatch.setattr(flatbuffer, "count_float_islands", lambda content: 7)
    graph, job = qdq_graph(tiny_graph_of())
    with pytest.raises(
        PosecError, match=r"to 7 float islands instead of .*float layers: .*keep other layers float"
    ):
        PI5.backend.lower(graph, job)
