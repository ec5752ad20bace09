"""Shapes of the outputs of Reshape, Concat, Slice and others that move elements; see `onnx_rules`."""

from __future__ import annotations

from typing import Dict, List

from ..graph import Shape
from ..inputs import NodeInputs, Rule, broadcast, volume


def _reshape(node: NodeInputs) -> List[Shape]:
    shape, stated = node.shape(), list(node.values(1))
    for axis, size in enumerate(stated):
        if size == 0 and axis < len(shape):
            stated[axis] = shape[axis]
    if stated.count(-1) == 1:
        rest = -volume(tuple(stated))
        stated[stated.index(-1)] = volume(shape) // rest if rest else 0
    if min(stated, default=1) < 0 or volume(tuple(stated)) != volume(shape):
        raise node.refusal("does not keep the number of elements")
    return [tuple(stated)]


def _flatten(node: NodeInputs) -> List[Shape]:
    shape, axis = node.shape(), node.attribute("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return [(volume(shape[:axis]), volume(shape[axis:]))]


def _squeeze(node: NodeInputs) -> List[Shape]:
    shape = node.shape()
    axes = node.axes(1, len(shape))
    if axes is None:
        axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
    return [tuple(size for axis, size in enumerate(shape) if axis not in axes)]


def _unsqueeze(node: NodeInputs) -> List[Shape]:
    rest, stated = list(node.shape()), node.values(1)
    rank = len(rest) + len(stated)
    axes = {node.axis(axis, rank) for axis in stated}
    if len(axes) != len(stated):
        raise node.refusal("has an axis twice")
    return [tuple(1 if axis in axes else rest.pop(0) for axis in range(rank))]


def _transpose(node: NodeInputs) -> List[Shape]:
    shape = node.shape()
    order = node.attribute("perm", list(range(len(shape)))[::-1])
    if sorted(order) != list(range(len(shape))):
        raise node.refusal("has an order that does not fit its input")
    return [tuple(shape[axis] for axis in order)]


def _concat(node: NodeInputs) -> List[Shape]:
    shapes = node.given
    if not shapes or len({len(shape) for shape in shapes}) != 1:
        raise node.refusal("joins tensors of different ranks")
    axis = node.axis(node.attribute("axis", 0), len(shapes[0]))
    joined = list(map(max, zip(*shapes)))
    joined[axis] = sum(shape[axis] for shape in shapes)
    return [tuple(joined)]


def _split(node: NodeInputs) -> List[Shape]:
    shape, parts = node.shape(), len(node.node.outputs)
    axis = node.axis(node.attribute("axis", 0), len(shape))
    sizes = node.values(1) if node.has(1) else (-(-shape[axis] // max(parts, 1)),) * parts
    if len(sizes) != parts or min(sizes) < 0:
        raise node.refusal("makes parts that do not fit its input")
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def _slice(node: NodeInputs) -> List[Shape]:
    shape, starts, ends = list(node.shape()), node.values(1), node.values(2)
    axes = node.values(3) if node.has(3) else tuple(range(len(starts)))
    steps = node.values(4) if node.has(4) else (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise node.refusal("has bounds that do not fit each other")
    for start, end, axis, step in zip(starts, ends, axes, steps):
        axis = node.axis(axis, len(shape))
        shape[axis] = len(range(shape[axis])[start : _end(end, step) : step])
    return [tuple(shape)]


def _end(end: int, step: int) -> "int | None":
    """Return the end of a Python slice; ONNX writes the smallest integers for 'past the first element'."""
    return None if step < 0 and end < -(2**30) else end


def _gather(node: NodeInputs) -> List[Shape]:
    shape = node.shape()
    axis = node.axis(node.attribute("axis", 0), len(shape))
    return [(*shape[:axis], *node.shape(1), *shape[axis + 1 :])]


def gather_nd(node: NodeInputs) -> List[Shape]:
    """GatherND of ONNX, and GATHER_ND of TFLite, which has no `batch_dims`."""
    shape, indices, batch = node.shape(), node.shape(1), node.attribute("batch_dims", 0)
    if not indices or not 0 <= batch + indices[-1] <= len(shape):
        raise node.refusal("has indices that do not fit its input")
    return [(*indices[:-1], *shape[batch + indices[-1] :])]


def _like_the_second(node: NodeInputs) -> List[Shape]:
    return [node.shape(1)]


def _expand(node: NodeInputs) -> List[Shape]:
    return [broadcast((node.shape(), node.values(1)))]


def tile(node: NodeInputs) -> List[Shape]:
    """Tile of ONNX, and TILE of TFLite."""
    shape, counts = node.shape(), node.values(1)
    if len(counts) != len(shape) or min(counts, default=1) < 0:
        raise node.refusal("has counts that do not fit its input")
    return [tuple(size * count for size, count in zip(shape, counts))]


def _pad(node: NodeInputs) -> List[Shape]:
    shape, pads = node.shape(), node.values(1)
    rank = len(shape)
    if len(pads) != 2 * rank:
        raise node.refusal("has pads that do not fit its input")
    return [tuple(max(0, size + pads[axis] + pads[axis + rank]) for axis, size in enumerate(shape))]


def _depth_to_space(node: NodeInputs) -> List[Shape]:
    count, channels, height, width = _maps(node)
    block = max(1, node.attribute("blocksize", 1))
    return [(count, channels // block**2, height * block, width * block)]


def _space_to_depth(node: NodeInputs) -> List[Shape]:
    count, channels, height, width = _maps(node)
    block = max(1, node.attribute("blocksize", 1))
    return [(count, channels * block**2, height // block, width // block)]


def _maps(node: NodeInputs) -> Shape:
    if len(node.shape()) != 4:
        raise node.refusal("reads tensors that are not maps")
    return node.shape()


LAYOUT_RULES: Dict[str, Rule] = {
    "Concat": _concat,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _like_the_second,
    "GatherND": gather_nd,
    "Pad": _pad,
    "Reshape": _reshape,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
