"""Padding of convolutions and pools: from ONNX attributes to symmetric pads, which torch requires."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from .node import Node


@dataclass(frozen=True)
class Window:
    """Kernel size, strides and dilations (rows, columns) of a convolution or pool."""

    kernel: list[int]
    strides: list[int]
    dilations: list[int]

    @classmethod
    def of(cls, node: Node, kernel: Sequence[int]) -> Window:
        """Return the window of a node for a kernel size. Raises PosecError unless it has two dimensions."""
        if len(kernel) != 2:
            raise node.refusal(f"has a kernel of {len(kernel)} dimensions, TFLite has kernels of 2")
        return cls(list(kernel), node.attribute("strides", [1, 1]), node.attribute("dilations", [1, 1]))


def pad_windows(node: Node, window: Window, border: float | None = 0.0) -> tuple[Tensor, list[int]]:
    """Return the maps, and the symmetric pads (rows, columns) that the torch operator adds.

    Uneven pads are added to the maps as pixels of value `border`. `border` None means that such pixels
    would change the result; uneven pads then raise PosecError.
    """
    top, left, bottom, right = _pads(node, window)
    if (top, left) == (bottom, right):
        return node.maps, [top, left]
    if border is None:
        raise node.refusal("pads unevenly and does not count the border")
    return functional.pad(node.maps, [left, right, top, bottom], value=border), [0, 0]


def _pads(node: Node, window: Window) -> list[int]:
    """Return the pads top, left, bottom, right."""
    automatic = node.attribute("auto_pad", "NOTSET")
    if automatic == "VALID":
        return [0, 0, 0, 0]
    if automatic == "NOTSET":
        return list(node.attribute("pads", [0, 0, 0, 0]))
    totals = [_total_pad(node, window, axis) for axis in (0, 1)]
    less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return [*less, *more] if automatic == "SAME_UPPER" else [*more, *less]


def _total_pad(node: Node, window: Window, axis: int) -> int:
    """Return the pads of both ends of an axis for ceil(size / stride) outputs."""
    size, stride = node.maps.shape[2 + axis], window.strides[axis]
    extent = window.dilations[axis] * (window.kernel[axis] - 1) + 1
    return max(0, (-(-size // stride) - 1) * stride + extent - size)
