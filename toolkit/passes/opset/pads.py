"""Pad of opset 18 and later, in opset 13: axes that are an input, and padding with the opposite border."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper

from ...errors import PosecError
from ..edit.edits import attribute
from .tensors import Tensors


def rewrite_pad(node: onnx.NodeProto, tensors: Tensors) -> list[onnx.NodeProto] | None:
    """Write axes out, and mode "wrap" as slices; None for a Pad that opset 13 takes."""
    axes, pads = tensors.constant(node, 3), tensors.constant(node, 1)
    mode = attribute(node, "mode", "constant")
    if pads is None or (axes is None and mode != "wrap"):
        return None
    rank = len(tensors.shape(node.input[0], node))
    begins, ends = np.zeros(rank, np.int64), np.zeros(rank, np.int64)
    axes = np.arange(rank) if axes is None else axes
    begins[axes], ends[axes] = pads[: len(axes)], pads[len(axes) :]
    if mode == "wrap":
        return _wrap(node, begins, ends, tensors=tensors)
    sides = tensors.add(f"{node.output[0]}/pads", np.concatenate([begins, ends]))
    inputs = [node.input[0], sides, *([node.input[2]] if len(node.input) > 2 and node.input[2] else [])]
    return [helper.make_node("Pad", inputs, node.output, node.name, mode=mode)]


def _wrap(
    node: onnx.NodeProto, begins: np.ndarray, ends: np.ndarray, *, tensors: Tensors
) -> list[onnx.NodeProto]:
    """Pad with the opposite border: two slices and a Concat for each axis."""
    made: list[onnx.NodeProto] = []
    source, shape = node.input[0], tensors.shape(node.input[0], node)
    for axis in np.flatnonzero((begins != 0) | (ends != 0)):
        if min(begins[axis], ends[axis]) < 0 or max(begins[axis], ends[axis]) > shape[axis]:
            raise PosecError(
                f"Pad ({node.name}) wraps around more than once, or crops; export the network without it"
            )
        size = shape[axis]
        before = _border(node, source, _Part(int(axis), size - begins[axis], size), tensors=tensors)
        after = _border(node, source, _Part(int(axis), 0, ends[axis]), tensors=tensors)
        made += [*before, *after]
        parts = [*(border.output[0] for border in before), source, *(border.output[0] for border in after)]
        source = tensors.name(f"{node.output[0]}/wrapped")
        made.append(helper.make_node("Concat", parts, [source], source, axis=int(axis)))
    return [*made, helper.make_node("Identity", [source], node.output, node.name)]


class _Part(NamedTuple):
    """A range of one axis."""

    axis: int
    start: int
    stop: int


def _border(node: onnx.NodeProto, source: str, part: _Part, *, tensors: Tensors) -> list[onnx.NodeProto]:
    """Return the Slice of a part of `source`; none where the part is empty."""
    if part.start == part.stop:
        return []
    numbers = (part.start, part.stop, part.axis)
    names = [tensors.add(f"{node.output[0]}/bound", np.asarray([number], np.int64)) for number in numbers]
    border = tensors.name(f"{node.output[0]}/border")
    return [helper.make_node("Slice", [source, *names], [border], border)]
