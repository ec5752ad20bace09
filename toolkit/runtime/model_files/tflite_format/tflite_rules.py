"""Shapes of the outputs of TFLite operators; see `onnx_rules` and, for maps, `tflite_map_rules`."""

from __future__ import annotations

from typing import Dict, List

from ..graph import Shape
from ..inputs import NodeInputs, Rule, broadcast, volume
from ..onnx_format.onnx_layout_rules import gather_nd, tile
from .tflite_map_rules import TFLITE_MAP_RULES
from .tflite_operators import BROADCAST, LIKE_THE_FIRST, REDUCTIONS


def _like_the_first(node: NodeInputs) -> List[Shape]:
    return [node.shape()]


def _broadcast(node: NodeInputs) -> List[Shape]:
    return [broadcast(node.given)]


def _reduced(node: NodeInputs) -> List[Shape]:
    shape = node.shape()
    axes = {node.axis(axis, len(shape)) for axis in node.values(1)}
    if node.attribute("keep_dims"):
        return [tuple(1 if axis in axes else size for axis, size in enumerate(shape))]
    return [tuple(size for axis, size in enumerate(shape) if axis not in axes)]


def _arg(node: NodeInputs) -> List[Shape]:
    shape = node.shape()
    axes = {node.axis(axis, len(shape)) for axis in node.values(1)}
    return [tuple(size for axis, size in enumerate(shape) if axis not in axes)]


def _fully_connected(node: NodeInputs) -> List[Shape]:
    shape, weight = node.shape(), node.shape(1)
    if len(weight) != 2 or not weight[1] or not shape:
        raise node.refusal("multiplies by a tensor that is not a matrix")
    if node.attribute("keep_num_dims"):
        return [(*shape[:-1], weight[0])]
    return [(volume(shape) // weight[1], weight[0])]


def _batch_mat_mul(node: NodeInputs) -> List[Shape]:
    one, other = node.shape(), node.shape(1)
    if len(one) < 2 or len(other) < 2:
        raise node.refusal("multiplies tensors that are not matrices")
    rows = one[-1 if node.attribute("adj_x") else -2]
    return [(*broadcast((one[:-2], other[:-2])), rows, other[-2 if node.attribute("adj_y") else -1])]


def _concatenated(node: NodeInputs) -> List[Shape]:
    shapes = node.given
    if not shapes or len({len(shape) for shape in shapes}) != 1:
        raise node.refusal("joins tensors of different ranks")
    axis = node.axis(node.attribute("axis"), len(shapes[0]))
    joined = list(map(max, zip(*shapes)))
    joined[axis] = sum(shape[axis] for shape in shapes)
    return [tuple(joined)]


def _packed(node: NodeInputs) -> List[Shape]:
    shape = broadcast(node.given)
    axis = node.axis(node.attribute("axis"), len(shape) + 1)
    return [(*shape[:axis], len(node.given), *shape[axis:])]


def _unpacked(node: NodeInputs) -> List[Shape]:
    shape = node.shape()
    axis = node.axis(node.attribute("axis"), len(shape))
    if len(node.node.outputs) != shape[axis]:
        raise node.refusal("makes parts that do not fit its input")
    return [(*shape[:axis], *shape[axis + 1 :])] * len(node.node.outputs)


def _split(node: NodeInputs) -> List[Shape]:
    shape, parts = node.shape(1), max(node.attribute("num_splits"), 1)
    axis = node.axis(sum(node.values(0)[:1]), len(shape))
    return [(*shape[:axis], shape[axis] // parts, *shape[axis + 1 :])] * len(node.node.outputs)


def _split_v(node: NodeInputs) -> List[Shape]:
    shape, sizes = node.shape(), node.values(1)
    axis = node.axis(sum(node.values(2)[:1]), len(shape))
    rest = shape[axis] - sum(size for size in sizes if size >= 0)
    return [(*shape[:axis], size if size >= 0 else max(rest, 0), *shape[axis + 1 :]) for size in sizes]


def _reshaped(node: NodeInputs) -> List[Shape]:
    shape = node.shape()
    stated = list(node.values(1) if node.has(1) else node.attribute("new_shape"))
    if stated.count(-1) == 1:
        rest = -volume(tuple(stated))
        stated[stated.index(-1)] = volume(shape) // rest if rest else 0
    if min(stated, default=1) < 0 or volume(tuple(stated)) != volume(shape):
        raise node.refusal("does not keep the number of elements")
    return [tuple(stated)]


def _squeezed(node: NodeInputs) -> List[Shape]:
    shape = node.shape()
    axes = {node.axis(axis, len(shape)) for axis in node.attribute("squeeze_dims")}
    axes = axes or {axis for axis, size in enumerate(shape) if size == 1}
    return [tuple(size for axis, size in enumerate(shape) if axis not in axes)]


def _expanded(node: NodeInputs) -> List[Shape]:
    shape = node.shape()
    axis = node.axis(sum(node.values(1)[:1]), len(shape) + 1)
    return [(*shape[:axis], 1, *shape[axis:])]


def _transposed(node: NodeInputs) -> List[Shape]:
    shape, order = node.shape(), node.values(1)
    if sorted(axis % len(order) for axis in order) != list(range(len(shape))):
        raise node.refusal("has an order that does not fit its input")
    return [tuple(shape[axis] for axis in order)]


def _sliced(node: NodeInputs) -> List[Shape]:
    shape, starts, sizes = node.shape(), node.values(1), node.values(2)
    if not len(shape) == len(starts) == len(sizes):
        raise node.refusal("has bounds that do not fit its input")
    found = zip(shape, starts, sizes)
    return [tuple(min(max(0, total - start) if size < 0 else size, total) for total, start, size in found)]


def _strided_slice(node: NodeInputs) -> List[Shape]:
    shape, starts, ends, steps = node.shape(), node.values(1), node.values(2), node.values(3)
    if node.attribute("ellipsis_mask") or node.attribute("new_axis_mask") or node.attribute("offset"):
        raise node.refusal("has masks that posec never exports")
    if not len(starts) == len(ends) == len(steps) <= len(shape) or 0 in steps:
        raise node.refusal("has bounds that do not fit its input")
    found = list(shape)
    for axis, (start, end, step) in enumerate(zip(starts, ends, steps)):
        chosen = slice(
            None if node.attribute("begin_mask") >> axis & 1 else start,
            None if node.attribute("end_mask") >> axis & 1 else end,
            step,
        )
        found[axis] = len(range(shape[axis])[chosen])
    shrunk = node.attribute("shrink_axis_mask")
    return [tuple(size for axis, size in enumerate(found) if not shrunk >> axis & 1)]


def _padded(node: NodeInputs) -> List[Shape]:
    shape, pads = node.shape(), node.values(1)
    if len(pads) != 2 * len(shape):
        raise node.refusal("has pads that do not fit its input")
    return [tuple(max(0, size + sum(pads[2 * axis : 2 * axis + 2])) for axis, size in enumerate(shape))]


def _gathered(node: NodeInputs) -> List[Shape]:
    shape, indices, batch = node.shape(), node.shape(1), node.attribute("batch_dims")
    axis = node.axis(node.attribute("axis"), len(shape))
    if not 0 <= batch <= min(axis, len(indices)):
        raise node.refusal("has indices that do not fit its input")
    return [(*shape[:axis], *indices[batch:], *shape[axis + 1 :])]


def _broadcast_to(node: NodeInputs) -> List[Shape]:
    return [broadcast((node.shape(), node.values(1)))]


TFLITE_RULES: Dict[str, Rule] = {
    **TFLITE_MAP_RULES,
    **dict.fromkeys(LIKE_THE_FIRST.values(), _like_the_first),
    **dict.fromkeys(BROADCAST.values(), _broadcast),
    **dict.fromkeys(REDUCTIONS.values(), _reduced),
    **dict.fromkeys(("ARG_MAX", "ARG_MIN"), _arg),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), _padded),
    "BATCH_MATMUL": _batch_mat_mul,
    "BROADCAST_TO": _broadcast_to,
    "CONCATENATION": _concatenated,
    "EXPAND_DIMS": _expanded,
    "FULLY_CONNECTED": _fully_connected,
    "GATHER": _gathered,
    "GATHER_ND": gather_nd,
    "PACK": _packed,
    "RESHAPE": _reshaped,
    "SLICE": _sliced,
    "SPLIT": _split,
    "SPLIT_V": _split_v,
    "SQUEEZE": _squeezed,
    "STRIDED_SLICE": _strided_slice,
    "TILE": tile,
    "TRANSPOSE": _transposed,
    "UNPACK": _unpacked,
}
