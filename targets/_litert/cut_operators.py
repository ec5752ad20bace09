"""Cut a TFLite file into files of one operator each, to measure each by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolkit.cost.operators import CONVOLUTIONS, Operator

from .flatbuffer import kind_of, read_model, write_model


def cut_operators(content: bytes) -> list[tuple[Operator, bytes]]:
    """Return each operator of a TFLite file with a file that holds it alone, in the order of the file.

    Constants stay constants; other tensors become inputs and outputs of the file.
    """
    model = read_model(content)
    return [
        (_describe(model, operator), _alone(model, operator)) for operator in model.subgraphs[0].operators
    ]


def list_operators(content: bytes) -> list[Operator]:
    """Return the operators of a TFLite file, in its order."""
    model = read_model(content)
    return [_describe(model, operator) for operator in model.subgraphs[0].operators]


def _describe(model: Any, operator: Any) -> Operator:
    from ai_edge_litert.schema_py_generated import TensorType

    kind = kind_of(model, operator).lower()
    tensors = model.subgraphs[0].tensors
    result = tensors[operator.outputs[0]]
    read = [tensors[index] for index in _variable(model, operator.inputs)]
    _, height, width, outputs = [*[1] * (4 - len(result.shape)), *result.shape][-4:]
    options, kernel = operator.builtinOptions, [1, 1]
    if kind in CONVOLUTIONS:
        kernel = [int(side) for side in tensors[operator.inputs[1]].shape[1:3]]
    return Operator(
        kind=kind,
        precision="int8" if result.type == TensorType.INT8 else "float32",
        kernel=(kernel[0], kernel[1]),
        stride=int(options.strideH) if kind in CONVOLUTIONS else 1,
        dilation=int(options.dilationHFactor) if kind in CONVOLUTIONS else 1,
        height=int(height),
        width=int(width),
        inputs=sum(int(tensor.shape[-1]) for tensor in read if len(tensor.shape)),
        outputs=int(outputs),
    )


def _variable(model: Any, indices: Any) -> list[int]:
    """Return those tensors that are not constants; TFLite marks a missing operand by -1."""
    tensors = model.subgraphs[0].tensors
    empty = [model.buffers[tensor.buffer].data is None for tensor in tensors]
    return [int(index) for index in indices if index >= 0 and empty[index]]


def _alone(model: Any, operator: Any) -> bytes:
    from ai_edge_litert import schema_py_generated as schema

    tensors = model.subgraphs[0].tensors
    used = list(dict.fromkeys(int(index) for index in (*operator.inputs, *operator.outputs) if index >= 0))
    place = {index: number for number, index in enumerate(used)}
    cut, graph, empty = schema.ModelT(), schema.SubGraphT(), schema.BufferT()
    cut.version, cut.operatorCodes = model.version, [model.operatorCodes[operator.opcodeIndex]]
    cut.buffers, cut.subgraphs = [empty], [graph]
    graph.tensors = [_moved(tensors[index], model, cut.buffers) for index in used]
    single = schema.OperatorT()
    single.opcodeIndex, single.builtinOptionsType = 0, operator.builtinOptionsType
    single.builtinOptions = operator.builtinOptions
    single.inputs = [place.get(int(index), -1) for index in operator.inputs]
    single.outputs = [place[int(index)] for index in operator.outputs]
    graph.operators = [single]
    graph.inputs = [place[index] for index in dict.fromkeys(_variable(model, operator.inputs))]
    graph.outputs = single.outputs
    return write_model(cut)


def _moved(tensor: Any, model: Any, buffers: list[Any]) -> Any:
    """Return a tensor whose constant, if it is one, is among `buffers`, which grow by it."""
    from ai_edge_litert import schema_py_generated as schema

    moved = schema.TensorT()
    moved.shape, moved.hasRank, moved.type = np.asarray(tensor.shape, np.int32), tensor.hasRank, tensor.type
    moved.name, moved.quantization, moved.buffer = tensor.name, tensor.quantization, 0
    if model.buffers[tensor.buffer].data is not None:
        moved.buffer = len(buffers)
        buffers.append(model.buffers[tensor.buffer])
    return moved
