"""How ONNX pads the windows of convolutions and pools, in torch's terms."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional

from .step import Step


def pad_windows(
    step: Step,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    border: float | None = 0.0,
) -> tuple[Tensor, list[int]]:
    """Return the maps, and the symmetric pads (rows, columns) that are left for the operator to add.

    Uneven pads are put around the maps as pixels of value `border`; None says that such pixels would change the result.
    Raises PosecError where they would.
    """
    top, left, bottom, right = _pads(step, kernel, strides, dilations)
    if (top, left) == (bottom, right):
        return step.maps, [top, left]
    if border is None:
        raise step.refusal("pads unevenly and does not count the border")
    return functional.pad(step.maps, [left, right, top, bottom], value=border), [0, 0]


def _pads(step: Step, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]) -> list[int]:
    """Return the pads top, left, bottom, right."""
    automatic = step.stated("auto_pad", "NOTSET")
    if automatic == "VALID":
        return [0, 0, 0, 0]
    if automatic == "NOTSET":
        return list(step.stated("pads", [0, 0, 0, 0]))
    sizes = step.maps.shape[2:]
    windows = [dilation * (size - 1) + 1 for size, dilation in zip(kernel, dilations, strict=True)]
    totals = [max(0, (-(-size // stride) - 1) * stride + window - size)
              for size, stride, window in zip(sizes, strides, windows, strict=True)]  # fmt: skip
    less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return [*less, *more] if automatic == "SAME_UPPER" else [*more, *less]
