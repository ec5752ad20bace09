"""Join consecutive TRANSPOSE operators of a TFLite file."""

from __future__ import annotations

from typing import Any

import numpy as np

from .flatbuffer import kind_of, read_model, write_model


def join_transposes(content: bytes) -> bytes:
    """Return a file in which no TRANSPOSE reads another; where p[q] is the identity, y is x.

        x -> TRANSPOSE(p) -> TRANSPOSE(q) -> y        becomes        x -> TRANSPOSE(p[q]) -> y

    The converter stores maps with readers in two orders in a third order: two transposes per reader.
    """
    model = read_model(content)
    graph = model.subgraphs[0]

    def is_transpose(operator: Any) -> bool:
        return kind_of(model, operator) == "TRANSPOSE"

    def order(operator: Any) -> np.ndarray:
        return np.frombuffer(bytes(model.buffers[graph.tensors[operator.inputs[1]].buffer].data), np.int32)

    makers = {int(tensor): operator for operator in graph.operators for tensor in operator.outputs}
    same: dict[int, int] = {}
    joined = 0
    for operator in graph.operators:
        operator.inputs = [same.get(int(tensor), int(tensor)) for tensor in operator.inputs]
        before = makers.get(operator.inputs[0]) if is_transpose(operator) else None
        if before is None or not is_transpose(before):
            continue
        permutation, joined = order(before)[order(operator)], joined + 1
        if (
            np.array_equal(permutation, np.arange(len(permutation)))
            and operator.outputs[0] not in graph.outputs
        ):
            same[int(operator.outputs[0])] = int(before.inputs[0])
        else:
            operator.inputs = [int(before.inputs[0]), _constant(model, permutation)]
    if not joined:
        return content
    kept, read = [], {int(tensor) for tensor in graph.outputs}
    for operator in reversed(graph.operators):
        if not is_transpose(operator) or int(operator.outputs[0]) in read:
            kept.append(operator)
            read |= {int(tensor) for tensor in operator.inputs}
    graph.operators = kept[::-1]
    return write_model(model)


def _constant(model: Any, values: np.ndarray) -> int:
    """Add an int32 constant; return its tensor index."""
    from ai_edge_litert import schema_py_generated as schema

    graph, buffer, tensor = model.subgraphs[0], schema.BufferT(), schema.TensorT()
    buffer.data = values.astype(np.int32).view(np.uint8)
    tensor.shape, tensor.type = [len(values)], schema.TensorType.INT32
    tensor.buffer, tensor.name = len(model.buffers), b"order"
    model.buffers.append(buffer)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1
