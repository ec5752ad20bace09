"""Operators of a compiled network, by the sizes that their cost depends on."""

from __future__ import annotations

from typing import NamedTuple

CONVOLUTIONS = ("conv_2d", "depthwise_conv_2d")


class Operator(NamedTuple):
    """An operator of a TFLite file.

    Attributes:
        kind: its name in TFLite, such as conv_2d, add, resize_bilinear.
        precision: of its result: int8 or float32.
        kernel: (rows, columns) of a convolution; (1, 1) otherwise.
        stride, dilation: of a convolution; 1 otherwise.
        height, width: of the result.
        inputs, outputs: channels read, of all its maps, and written.
    """

    kind: str
    precision: str
    kernel: tuple[int, int]
    stride: int
    dilation: int
    height: int
    width: int
    inputs: int
    outputs: int

    @property
    def family(self) -> tuple[str, str, tuple[int, int], int, int]:
        """What operators share whose cost differs by their sizes alone."""
        return self[:5]

    @property
    def title(self) -> str:
        """The family in words, such as "conv_2d int8 3x3 stride 2 dilation 1"."""
        rows, columns = self.kernel
        return f"{self.kind} {self.precision} {rows}x{columns} stride {self.stride} dilation {self.dilation}"
