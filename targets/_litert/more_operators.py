"""Operators of gates, norms and attention as the torch operations that the converter supports."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .node import Node


def _both(compute: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Node], Tensor]:
    return lambda node: compute(node.tensor(0), node.tensor(1))


def _one(compute: Callable[[Tensor], Tensor]) -> Callable[[Node], Tensor]:
    return lambda node: compute(node.maps)


def _every(compute: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Node], Tensor]:
    return lambda node: functools.reduce(compute, [node.tensor(place) for place in range(len(node.tensors))])


def _reduce(compute: Callable[[Tensor, list[int], bool], Tensor]) -> Callable[[Node], Tensor]:
    """Return the replay of a reduction; its axes are an attribute or, for ReduceSum, the second input."""

    def reduced(node: Node) -> Tensor:
        axes = node.attribute("axes", None)
        if axes is None and len(node.proto.input) > 1:
            given = node.constant(1)
            axes = None if given is None else [int(axis) for axis in given]
        axes = list(range(node.maps.ndim)) if axes is None else list(axes)
        return compute(node.maps, axes, bool(node.attribute("keepdims", 1)))

    return reduced


def _slice(node: Node) -> Tensor:
    given = [node.constant(place) for place in range(1, 5)]
    starts, stops = given[0], given[1]
    if starts is None or stops is None:
        raise node.refusal("states no bounds")
    axes = range(len(starts)) if given[2] is None else given[2]
    steps = np.ones(len(starts), np.int64) if given[3] is None else given[3]
    maps = node.maps
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


def _gather(node: Node) -> Tensor:
    """Return selected entries concatenated: TFLite's GATHER is slower for the short lists of networks."""
    indices, axis = node.constant(1), node.attribute("axis", 0)
    if indices is None or indices.ndim > 1:
        raise node.refusal("gathers by indices of several dimensions")
    size = node.maps.shape[axis]
    parts = [node.maps.narrow(axis, int(index) % size, 1) for index in indices.reshape(-1)]
    return torch.cat(parts, axis) if indices.ndim else parts[0].squeeze(axis)


def _gather_nd(node: Node) -> Tensor:
    """Return selected entries of the first axis: torch's older exporter writes `maps[:, [2, 0, 1]]` so."""
    indices = node.constant(1)
    if indices is None or indices.ndim != 2 or indices.shape[1] != 1 or node.attribute("batch_dims", 0):
        raise node.refusal("gathers by more than a list of indices")
    size = node.maps.shape[0]
    return torch.cat([node.maps.narrow(0, int(index) % size, 1) for index in indices[:, 0]])


def _axes(node: Node) -> list[int]:
    given = node.constant(1)
    return [int(axis) for axis in (given if given is not None else [])]


def _squeeze(node: Node) -> Tensor:
    axes = _axes(node) or [axis for axis, size in enumerate(node.maps.shape) if size == 1]
    gone = {axis % node.maps.ndim for axis in axes}
    return node.maps.reshape([size for axis, size in enumerate(node.maps.shape) if axis not in gone])


def _unsqueeze(node: Node) -> Tensor:
    axes, shape = _axes(node), list(node.maps.shape)
    rank = len(shape) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        shape.insert(axis, 1)
    return node.maps.reshape(shape)


def _flatten(node: Node) -> Tensor:
    axis = node.attribute("axis", 1) % (node.maps.ndim + 1)
    return node.maps.reshape(int(np.prod(node.maps.shape[:axis])), -1)


def _gemm(node: Node) -> Tensor:
    one = node.maps.T if node.attribute("transA", 0) else node.maps
    other = node.tensor(1).T if node.attribute("transB", 0) else node.tensor(1)
    result = node.attribute("alpha", 1.0) * (one @ other)
    return (
        result + node.attribute("beta", 1.0) * node.tensor(2)
        if len(node.tensors) > 2 and node.tensors[2] is not None
        else result
    )


def _instance_norm(node: Node) -> Tensor:
    axes = list(range(2, node.maps.ndim))
    centred = node.maps - node.maps.mean(axes, keepdim=True)
    last = centred * torch.rsqrt(
        (centred * centred).mean(axes, keepdim=True) + node.attribute("epsilon", 1e-5)
    )
    spread = [1, -1, *[1] * len(axes)]
    return last * node.tensor(1).reshape(spread) + node.tensor(2).reshape(spread)


def _batch_norm(node: Node) -> Tensor:
    scale, shift, mean, variance = (
        node.tensor(place).reshape(1, -1, *[1] * (node.maps.ndim - 2)) for place in range(1, 5)
    )
    return (node.maps - mean) * (scale * torch.rsqrt(variance + node.attribute("epsilon", 1e-5))) + shift


def _expand(node: Node) -> Tensor:
    sizes = node.constant(1)
    if sizes is None:
        raise node.refusal("states no sizes")
    return node.maps.expand(np.broadcast_shapes(tuple(node.maps.shape), tuple(map(int, sizes))))


def _tile(node: Node) -> Tensor:
    counts = node.constant(1)
    if counts is None:
        raise node.refusal("states no counts")
    return node.maps.repeat([int(count) for count in counts])


def _cast(node: Node) -> Tensor:
    """Return floats: booleans become 0 and 1, integers are truncated."""
    from onnx import TensorProto

    kind = node.attribute("to", TensorProto.FLOAT)
    if kind == TensorProto.FLOAT:
        return node.maps.float()
    return node.maps != 0 if kind == TensorProto.BOOL else torch.trunc(node.maps.float())


def _depth_to_space(node: Node) -> Tensor:
    n, c, h, w = node.maps.shape
    size = node.attribute("blocksize", 1)
    if node.attribute("mode", "DCR") == "CRD":
        return functional.pixel_shuffle(node.maps, size)
    return (
        node.maps.reshape(n, size, size, c // size**2, h, w)
        .permute(0, 3, 4, 1, 5, 2)
        .reshape(n, -1, h * size, w * size)
    )


def _space_to_depth(node: Node) -> Tensor:
    n, c, h, w = node.maps.shape
    size = node.attribute("blocksize", 1)
    return (
        node.maps.reshape(n, c, h // size, size, w // size, size)
        .permute(0, 3, 5, 1, 2, 4)
        .reshape(n, -1, h // size, w // size)
    )


MORE_OPERATORS: dict[str, Callable[[Node], Any]] = {
    "Abs": _one(torch.abs),
    "And": _both(torch.logical_and),
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Ceil": _one(torch.ceil),
    "Celu": lambda node: functional.celu(node.maps, node.attribute("alpha", 1.0)),
    "Cos": _one(torch.cos),
    "DepthToSpace": _depth_to_space,
    "Einsum": lambda node: torch.einsum(
        node.attribute("equation", ""), *[node.tensor(place) for place in range(len(node.tensors))]
    ),
    "Elu": lambda node: functional.elu(node.maps, node.attribute("alpha", 1.0)),
    "Equal": _both(torch.eq),
    "Erf": _one(torch.erf),
    "Exp": _one(torch.exp),
    "Expand": _expand,
    "Flatten": _flatten,
    "Floor": _one(torch.floor),
    "Gather": _gather,
    "GatherND": _gather_nd,
    "Gemm": _gemm,
    "GlobalMaxPool": lambda node: node.maps.amax((2, 3), keepdim=True),
    "Greater": _both(torch.gt),
    "GreaterOrEqual": _both(torch.ge),
    "Identity": _one(lambda maps: maps),
    "InstanceNormalization": _instance_norm,
    "Less": _both(torch.lt),
    "LessOrEqual": _both(torch.le),
    "Log": _one(torch.log),
    "LogSoftmax": lambda node: functional.log_softmax(node.maps, node.attribute("axis", -1)),
    "MatMul": _both(torch.matmul),
    "Max": _every(torch.maximum),
    "Min": _every(torch.minimum),
    "Not": _one(torch.logical_not),
    "Or": _both(torch.logical_or),
    "PRelu": lambda node: torch.relu(node.maps) - node.tensor(1) * torch.relu(-node.maps),
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
    "Softmax": lambda node: functional.softmax(node.maps, node.attribute("axis", -1)),
    "Softplus": _one(functional.softplus),
    "Softsign": _one(lambda maps: maps / (1 + maps.abs())),
    "SpaceToDepth": _space_to_depth,
    "Sqrt": _one(torch.sqrt),
    "Squeeze": _squeeze,
    "Sum": _every(torch.add),
    "Tile": _tile,
    "Unsqueeze": _unsqueeze,
    "Where": lambda node: torch.where(node.maps != 0, node.tensor(1), node.tensor(2)),
}
"""ONNX operator → the torch operation that replays it."""
