"""Let convolutions of a TFLite file pad by themselves where a PAD operator pads for them."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import numpy as np

from .flatbuffer import kind_of, read_model, write_model


class _Padded(NamedTuple):
    """The tensor before the PAD, the (before, after) of rows and columns, and the order of its axes."""

    source: int
    amounts: np.ndarray
    order: np.ndarray


def fold_padding(content: bytes) -> bytes:
    """Return a file in which SAME padding replaces the PAD that adds the same pixels before a convolution.

        x -> TRANSPOSE -> PAD -> TRANSPOSE -> CONV(valid)        becomes        x -> CONV(same)

    For int8 the converter pads maps in NCHW. The pixels added are zero in both files: SAME pads by the zero
    point, as PAD does.
    """
    model = read_model(content)
    graph = model.subgraphs[0]
    makers = {int(tensor): operator for operator in graph.operators for tensor in operator.outputs}
    folded = 0
    for operator in graph.operators:
        if kind_of(model, operator) in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            folded += _fold(model, operator, makers)
    if not folded:
        return content
    _drop_unread(graph)
    return write_model(model)


def _fold(model: Any, operator: Any, makers: dict[int, Any]) -> bool:
    from ai_edge_litert.schema_py_generated import Padding

    tensors, options = model.subgraphs[0].tensors, operator.builtinOptions
    padded = _padded(model, int(operator.inputs[0]), makers)
    if padded is None or options.padding != Padding.VALID:
        return False
    before, after = tensors[padded.source], tensors[int(operator.inputs[0])]
    if not (np.array_equal(padded.order, range(4)) and _same_scale(before, after)):
        return False
    kernel = tensors[operator.inputs[1]].shape[1:3]
    strides = options.strideH, options.strideW
    dilations = options.dilationHFactor, options.dilationWFactor
    sides = before.shape[1:3]
    totals = [
        max(0, (-(-side // stride) - 1) * stride + dilation * (taps - 1) + 1 - side)
        for side, taps, stride, dilation in zip(sides, kernel, strides, dilations, strict=True)
    ]
    wanted = [[0, 0], *([total // 2, total - total // 2] for total in totals), [0, 0]]
    if not np.array_equal(padded.amounts, wanted):
        return False
    operator.inputs = [padded.source, *operator.inputs[1:]]
    options.padding = Padding.SAME
    return True


def _padded(model: Any, tensor: int, makers: dict[int, Any]) -> _Padded | None:
    """Return how a tensor was padded, perhaps between two transposes; None where no PAD made it."""
    pad, outer, inner = makers.get(tensor), np.arange(4), np.arange(4)
    if pad is not None and kind_of(model, pad) == "TRANSPOSE":
        outer, pad = _constant(model, pad.inputs[1]), makers.get(int(pad.inputs[0]))
    if pad is None or kind_of(model, pad) != "PAD":
        return None
    source = int(pad.inputs[0])
    first = makers.get(source)
    if first is not None and kind_of(model, first) == "TRANSPOSE":
        inner, source = _constant(model, first.inputs[1]), int(first.inputs[0])
    return _Padded(source, _constant(model, pad.inputs[1]).reshape(-1, 2)[outer], inner[outer])


def _same_scale(one: Any, other: Any) -> bool:
    """Return whether two tensors have the same scale and zero point, or neither has any."""
    return _scale(one) == _scale(other)


def _scale(tensor: Any) -> list[list[float]]:
    """Return the scales and zero points of a tensor; empty without any."""
    given = tensor.quantization and (tensor.quantization.scale, tensor.quantization.zeroPoint)
    return [[float(value) for value in values] for values in given or () if values is not None]


def _drop_unread(graph: Any) -> None:
    """Remove operators that no other reads, until none is left."""
    while True:
        read = Counter(int(tensor) for operator in graph.operators for tensor in operator.inputs)
        read.update(int(tensor) for tensor in graph.outputs)
        kept = [each for each in graph.operators if any(read[int(tensor)] for tensor in each.outputs)]
        if len(kept) == len(graph.operators):
            return
        graph.operators = kept


def _constant(model: Any, tensor: int) -> np.ndarray:
    return np.frombuffer(bytes(model.buffers[model.subgraphs[0].tensors[tensor].buffer].data), np.int32)
