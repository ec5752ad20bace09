"""Operators of gates, norms and attention, each as the torch operation that the converter knows; layers are in `operators`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .step import Step


def _both(compute: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Step], Tensor]:
    return lambda step: compute(step.tensor(0), step.tensor(1))


def _one(compute: Callable[[Tensor], Tensor]) -> Callable[[Step], Tensor]:
    return lambda step: compute(step.maps)


def _all(compute: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Step], Tensor]:
    return lambda step: functools.reduce(compute, [step.tensor(place) for place in range(len(step.tensors))])


def _reduce(compute: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[[Step], Tensor]:
    """Return a reduction; axes are an attribute, or the second input as ReduceSum has them."""

    def reduced(step: Step) -> Tensor:
        axes = step.stated("axes", None)
        if axes is None and len(step.node.input) > 1:
            given = step.constant(1)
            axes = None if given is None else [int(axis) for axis in given]
        axes = list(range(step.maps.ndim)) if axes is None else list(axes)
        return compute(step.maps, axes, bool(step.stated("keepdims", 1)))

    return reduced


def _slice(step: Step) -> Tensor:
    given = [step.constant(place) for place in range(1, 5)]
    starts, stops = given[0], given[1]
    if starts is None or stops is None:
        raise step.refusal("states no bounds")
    axes = range(len(starts)) if given[2] is None else given[2]
    steps = np.ones(len(starts), np.int64) if given[3] is None else given[3]
    maps = step.maps
    for axis, start, stop, stride in zip(axes, starts, stops, steps, strict=True):
        chosen = range(maps.shape[int(axis)])[
            int(start) : int(np.clip(stop, -(2**31), 2**31 - 1)) : int(stride)
        ]
        maps = _taken(maps, int(axis), chosen)
    return maps


def _taken(maps: Tensor, axis: int, chosen: range) -> Tensor:
    if chosen.step > 0:
        at = [slice(None)] * maps.ndim
        at[axis] = slice(chosen.start, chosen.stop, chosen.step)
        return maps[tuple(at)]
    return torch.cat([maps.narrow(axis, place, 1) for place in chosen], axis)


def _gather(step: Step) -> Tensor:
    """Return chosen entries side by side: TFLite's own GATHER is slower on the few that are chosen here."""
    indices, axis = step.constant(1), step.stated("axis", 0)
    if indices is None or indices.ndim > 1:
        raise step.refusal("gathers by more than a list of places")
    size = step.maps.shape[axis]
    parts = [step.maps.narrow(axis, int(index) % size, 1) for index in indices.reshape(-1)]
    return torch.cat(parts, axis) if indices.ndim else parts[0].squeeze(axis)


def _axes(step: Step) -> list[int]:
    given = step.constant(1)
    return [int(axis) for axis in (given if given is not None else [])]


def _squeeze(step: Step) -> Tensor:
    axes = _axes(step) or [axis for axis, size in enumerate(step.maps.shape) if size == 1]
    gone = {axis % step.maps.ndim for axis in axes}
    return step.maps.reshape([size for axis, size in enumerate(step.maps.shape) if axis not in gone])


def _unsqueeze(step: Step) -> Tensor:
    axes, shape = _axes(step), list(step.maps.shape)
    rank = len(shape) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        shape.insert(axis, 1)
    return step.maps.reshape(shape)


def _flatten(step: Step) -> Tensor:
    axis = step.stated("axis", 1) % (step.maps.ndim + 1)
    return step.maps.reshape(int(np.prod(step.maps.shape[:axis])), -1)


def _gemm(step: Step) -> Tensor:
    one = step.maps.T if step.stated("transA", 0) else step.maps
    other = step.tensor(1).T if step.stated("transB", 0) else step.tensor(1)
    result = step.stated("alpha", 1.0) * (one @ other)
    return (
        result + step.stated("beta", 1.0) * step.tensor(2)
        if len(step.tensors) > 2 and step.tensors[2] is not None
        else result
    )


def _instance_norm(step: Step) -> Tensor:
    axes = list(range(2, step.maps.ndim))
    centred = step.maps - step.maps.mean(axes, keepdim=True)
    last = centred * torch.rsqrt((centred * centred).mean(axes, keepdim=True) + step.stated("epsilon", 1e-5))
    spread = [1, -1, *[1] * len(axes)]
    return last * step.tensor(1).reshape(spread) + step.tensor(2).reshape(spread)


def _batch_norm(step: Step) -> Tensor:
    scale, shift, mean, variance = (
        step.tensor(place).reshape(1, -1, *[1] * (step.maps.ndim - 2)) for place in range(1, 5)
    )
    return (step.maps - mean) * (scale * torch.rsqrt(variance + step.stated("epsilon", 1e-5))) + shift


def _expand(step: Step) -> Tensor:
    sizes = step.constant(1)
    if sizes is None:
        raise step.refusal("states no sizes")
    return step.maps.expand(np.broadcast_shapes(tuple(step.maps.shape), tuple(map(int, sizes))))


def _tile(step: Step) -> Tensor:
    counts = step.constant(1)
    if counts is None:
        raise step.refusal("states no counts")
    return step.maps.repeat([int(count) for count in counts])


def _cast(step: Step) -> Tensor:
    """Return real numbers: comparisons become 0 and 1; whole numbers lose their fraction."""
    from onnx import TensorProto

    kind = step.stated("to", TensorProto.FLOAT)
    if kind == TensorProto.FLOAT:
        return step.maps.float()
    return step.maps != 0 if kind == TensorProto.BOOL else torch.trunc(step.maps.float())


def _depth_to_space(step: Step) -> Tensor:
    n, c, h, w = step.maps.shape
    size = step.stated("blocksize", 1)
    if step.stated("mode", "DCR") == "CRD":
        return functional.pixel_shuffle(step.maps, size)
    return (
        step.maps.reshape(n, size, size, c // size**2, h, w)
        .permute(0, 3, 4, 1, 5, 2)
        .reshape(n, -1, h * size, w * size)
    )


def _space_to_depth(step: Step) -> Tensor:
    n, c, h, w = step.maps.shape
    size = step.stated("blocksize", 1)
    return (
        step.maps.reshape(n, c, h // size, size, w // size, size)
        .permute(0, 3, 5, 1, 2, 4)
        .reshape(n, -1, h // size, w // size)
    )


MORE_OPERATORS: dict[str, Callable[[Step], Any]] = {
    "Abs": _one(torch.abs),
    "And": _both(torch.logical_and),
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Ceil": _one(torch.ceil),
    "Celu": lambda step: functional.celu(step.maps, step.stated("alpha", 1.0)),
    "Cos": _one(torch.cos),
    "DepthToSpace": _depth_to_space,
    "Einsum": lambda step: torch.einsum(
        step.stated("equation", ""), *[step.tensor(place) for place in range(len(step.tensors))]
    ),
    "Elu": lambda step: functional.elu(step.maps, step.stated("alpha", 1.0)),
    "Equal": _both(torch.eq),
    "Erf": _one(torch.erf),
    "Exp": _one(torch.exp),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _one(torch.floor),
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalMaxPool": lambda step: step.maps.amax((2, 3), keepdim=True),
    "Greater": _both(torch.gt),
    "GreaterOrEqual": _both(torch.ge),
    "Identity": _one(lambda maps: maps),
    "InstanceNormalization": _instance_norm,
    "Less": _both(torch.lt),
    "LessOrEqual": _both(torch.le),
    "Log": _one(torch.log),
    "LogSoftmax": lambda step: functional.log_softmax(step.maps, step.stated("axis", -1)),
    "MatMul": _both(torch.matmul),
    "Max": _all(torch.maximum),
    "Min": _all(torch.minimum),
    "Not": _one(torch.logical_not),
    "Or": _both(torch.logical_or),
    "PRelu": lambda step: torch.relu(step.maps) - step.tensor(1) * torch.relu(-step.maps),
    "Pow": _both(torch.pow),
    "Reciprocal": _one(torch.reciprocal),
    "ReduceL1": _reduce(lambda maps, axes, keep: maps.abs().sum(axes, keepdim=keep)),
    "ReduceL2": _reduce(lambda maps, axes, keep: (maps * maps).sum(axes, keepdim=keep).sqrt()),
    "ReduceLogSum": _reduce(lambda maps, axes, keep: maps.sum(axes, keepdim=keep).log()),
    "ReduceLogSumExp": _reduce(lambda maps, axes, keep: maps.exp().sum(axes, keepdim=keep).log()),
    "ReduceMax": _reduce(lambda maps, axes, keep: maps.amax(axes, keepdim=keep)),
    "ReduceMean": _reduce(lambda maps, axes, keep: maps.mean(axes, keepdim=keep)),
    "ReduceMin": _reduce(lambda maps, axes, keep: maps.amin(axes, keepdim=keep)),
    "ReduceSum": _reduce(lambda maps, axes, keep: maps.sum(axes, keepdim=keep)),
    "ReduceSumSquare": _reduce(lambda maps, axes, keep: (maps * maps).sum(axes, keepdim=keep)),
    "Selu": _one(functional.selu),
    "Sign": _one(torch.sign),
    "Sin": _one(torch.sin),
    "Slice": _slice,
    "Softmax": lambda step: functional.softmax(step.maps, step.stated("axis", -1)),
    "Softplus": _one(functional.softplus),
    "Softsign": _one(lambda maps: maps / (1 + maps.abs())),
    "SpaceToDepth": _space_to_depth,
    "Sqrt": _one(torch.sqrt),
    "Squeeze": _squeeze,
    "Sum": _all(torch.add),
    "Tile": _tile,
    "Unsqueeze": _unsqueeze,
    "Where": lambda step: torch.where(step.maps != 0, step.tensor(1), step.tensor(2)),
}
"""ONNX operator → the torch operation that replays it."""
