"""Read and edit TFLite files."""

from __future__ import annotations

from typing import Any

import numpy as np

# This metadata allows XNNPACK to compute in float16 on CPUs with float16 arithmetic.
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


def kind_of(model: Any, operator: Any) -> str:
    """Return an operator's name in the schema, such as CONV_2D."""
    from ai_edge_litert.schema_py_generated import BuiltinOperator

    code = model.operatorCodes[operator.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    return next(name for name, value in vars(BuiltinOperator).items() if value == number)


def count_float_islands(content: bytes) -> int:
    """Return the number of connected groups of float32 operators in an int8 file."""
    from ai_edge_litert.schema_py_generated import TensorType

    model = read_model(content)
    graph, islands = model.subgraphs[0], 0
    group_of: dict[int, int] = {}
    for operator in graph.operators:
        if kind_of(model, operator) in ("QUANTIZE", "DEQUANTIZE"):
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
    """Return a float32 file with float16 constants, each behind a DEQUANTIZE, and float16 arithmetic allowed.

    On a CPU without float16 arithmetic, XNNPACK converts the constants to float32 when it opens the file.
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
        half.shape, half.hasRank = tensor.shape, tensor.hasRank
        half.name, half.type = tensor.name + b"/float16", schema.TensorType.FLOAT16
        half.buffer = len(model.buffers)
        buffer = schema.BufferT()
        with np.errstate(over="ignore"):
            values = np.frombuffer(bytes(data), np.float32)
            buffer.data = np.clip(values, -65504, 65504).astype(np.float16).view(np.uint8)
        model.buffers.append(buffer)
        model.buffers[tensor.buffer].data, tensor.buffer = None, 0  # it is computed from the float16 constant
        graph.tensors.append(half)
        unpack = schema.OperatorT()
        unpack.opcodeIndex = len(model.operatorCodes) - 1
        unpack.inputs, unpack.outputs = [len(graph.tensors) - 1], [index]
        unpacked.append(unpack)
    graph.operators = [*unpacked, *graph.operators]
    _add_metadata(model, *REDUCED_PRECISION)
    return write_model(model)


def _add_metadata(model: Any, name: bytes, text: bytes) -> None:
    """Add named metadata to a model."""
    from ai_edge_litert import schema_py_generated as schema

    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(text, np.uint8)
    entry.name, entry.buffer = name, len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
