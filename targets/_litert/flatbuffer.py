"""What is in a TFLite file, and edits of it."""

from __future__ import annotations

from typing import Any

import numpy as np

# The XNNPACK delegate computes in float16 where a model says that it may and the CPU can.
REDUCED_PRECISION = (b"reduced_precision_support", b"fp16accfp16")


def read_model(content: bytes) -> Any:
    """Return a TFLite file as the objects of its schema."""
    from ai_edge_litert.schema_py_generated import ModelT

    return ModelT.InitFromPackedBuf(content, 0)


def write_model(model: Any) -> bytes:
    """Return the bytes of a TFLite file; equal models give equal bytes."""
    import flatbuffers  # type: ignore[import-untyped]

    builder = flatbuffers.Builder(2**20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def count_float_islands(content: bytes) -> int:
    """Return how many groups of operators compute in float32 and hand their results to each other, of one int8 file."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator, TensorType

    model = read_model(content)
    graph, islands = model.subgraphs[0], 0
    group_of: dict[int, int] = {}
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        kind = max(code.builtinCode, code.deprecatedBuiltinCode)
        if kind in (BuiltinOperator.QUANTIZE, BuiltinOperator.DEQUANTIZE):
            continue
        if not any(graph.tensors[output].type == TensorType.FLOAT32 for output in operator.outputs):
            continue
        joined = {group_of[tensor] for tensor in operator.inputs if tensor in group_of}
        islands += 1 - len(joined)
        group = min(joined, default=int(operator.outputs[0]))
        group_of.update({tensor: group for tensor, known in group_of.items() if known in joined})
        group_of.update({int(output): group for output in operator.outputs})
    return islands


def halve_weights(content: bytes) -> bytes:
    """Return a float32 file with its constants as float16, each behind a DEQUANTIZE, marked as fit for float16 arithmetic.

    Where the CPU has such arithmetic XNNPACK uses it; elsewhere it unpacks the constants once, when the file is opened.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = read_model(content)
    graph, unpacked = model.subgraphs[0], []
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.DEQUANTIZE
    code.version = 3  # the first that takes float16
    model.operatorCodes.append(code)
    for index, tensor in enumerate(list(graph.tensors)):
        data = model.buffers[tensor.buffer].data
        if tensor.type != schema.TensorType.FLOAT32 or data is None or not len(data):
            continue
        half = schema.TensorT()
        half.shape, half.name, half.type, half.hasRank = (
            tensor.shape,
            tensor.name + b"/float16",
            schema.TensorType.FLOAT16,
            tensor.hasRank,
        )
        half.buffer = len(model.buffers)
        buffer = schema.BufferT()
        with np.errstate(over="ignore"):
            values = np.frombuffer(bytes(data), np.float32)
            buffer.data = np.clip(values, -65504, 65504).astype(np.float16).view(np.uint8)
        model.buffers.append(buffer)
        model.buffers[tensor.buffer].data, tensor.buffer = None, 0  # its values are computed now
        graph.tensors.append(half)
        unpack = schema.OperatorT()
        unpack.opcodeIndex, unpack.inputs, unpack.outputs = (
            len(model.operatorCodes) - 1,
            [len(graph.tensors) - 1],
            [index],
        )
        unpacked.append(unpack)
    graph.operators = [*unpacked, *graph.operators]
    _note(model, *REDUCED_PRECISION)
    return write_model(model)


def _note(model: Any, name: bytes, text: bytes) -> None:
    """Add a named note to a model."""
    from ai_edge_litert import schema_py_generated as schema

    buffer, note = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(text, np.uint8)
    note.name, note.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), note]
