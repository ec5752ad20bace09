"""Moves of numbers that follow each other in a TFLite file, as one move, or none where the second takes back the first."""

from __future__ import annotations

from typing import Any

import numpy as np

from .flatbuffer import read_model, write_model


def join_moves(content: bytes) -> bytes:
    """Return a file in which no TRANSPOSE reads another.

        x -> TRANSPOSE(p) -> TRANSPOSE(q) -> y        becomes        x -> TRANSPOSE(p[q]) -> y, or x itself where p[q] moves nothing

    The converter keeps maps that are read both as they lie and otherwise in a third order: two moves that need not be.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = read_model(content)
    graph, codes = model.subgraphs[0], model.operatorCodes

    def is_move(operator: Any) -> bool:
        code = codes[operator.opcodeIndex]
        return bool(max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.TRANSPOSE)

    def order(operator: Any) -> np.ndarray:
        return np.frombuffer(bytes(model.buffers[graph.tensors[operator.inputs[1]].buffer].data), np.int32)

    makers = {int(tensor): operator for operator in graph.operators for tensor in operator.outputs}
    same: dict[int, int] = {}
    joined = 0
    for operator in graph.operators:
        operator.inputs = [same.get(int(tensor), int(tensor)) for tensor in operator.inputs]
        before = makers.get(operator.inputs[0]) if is_move(operator) else None
        if before is None or not is_move(before):
            continue
        moved, joined = order(before)[order(operator)], joined + 1
        if np.array_equal(moved, np.arange(len(moved))) and operator.outputs[0] not in graph.outputs:
            same[int(operator.outputs[0])] = int(before.inputs[0])
        else:
            operator.inputs = [int(before.inputs[0]), _constant(model, moved)]
    if not joined:
        return content
    kept, read = [], {int(tensor) for tensor in graph.outputs}
    for operator in reversed(graph.operators):
        if not is_move(operator) or int(operator.outputs[0]) in read:
            kept.append(operator)
            read |= {int(tensor) for tensor in operator.inputs}
    graph.operators = kept[::-1]
    return write_model(model)


def _constant(model: Any, values: np.ndarray) -> int:
    """Add an int32 constant; return its number."""
    from ai_edge_litert import schema_py_generated as schema

    graph, buffer, tensor = model.subgraphs[0], schema.BufferT(), schema.TensorT()
    buffer.data = values.astype(np.int32).view(np.uint8)
    tensor.shape, tensor.type, tensor.buffer, tensor.name = (
        [len(values)],
        schema.TensorType.INT32,
        len(model.buffers),
        b"order",
    )
    model.buffers.append(buffer)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
