"""Preprocessing: letterbox, colour order, number type. Calibration, verification and boards all run it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Tuple

import cv2
import numpy as np

from .errors import PoseError
from .frame import FrameInput
from .pose import PoseSpec

# Below this scale bilinear interpolation skips pixels and edges alias; the picture is halved first.
HALVED_BELOW = 0.5
LARGEST_SIDE_PX = 16384  # cv2.resize accepts up to 32767
_TOP_BIT = np.uint8(128)  # flipping it subtracts 128 from a pixel, as int8


class PictureError(PoseError):
    """A picture that cannot be fed to the network; the message names the conversion."""


@dataclass(frozen=True)
class Letterbox:
    """The place of a picture in the network's input.

    Attributes:
        scales: (x, y) input pixels per picture pixel; they differ by rounding to whole input pixels.
        left, top: input pixels of border before the picture.
        picture_size: (height, width) of the picture.
    """

    scales: Tuple[float, float]
    left: int
    top: int
    picture_size: Tuple[int, int]

    @property
    def scale(self) -> float:
        """Input pixels per picture pixel, of both axes together."""
        return float((self.scales[0] * self.scales[1]) ** 0.5)

    def to_input(self, points: np.ndarray) -> np.ndarray:
        """Map picture points (..., 2), x and y, to the input; a pixel's centre has whole coordinates."""
        corner = np.asarray((self.left - 0.5, self.top - 0.5), np.float32)
        return (points + 0.5) * np.asarray(self.scales, np.float32) + corner

    def to_picture(self, points: np.ndarray) -> np.ndarray:
        """Map input points (..., 2) to the picture: the inverse of `to_input`."""
        corner = np.asarray((self.left - 0.5, self.top - 0.5), np.float32)
        return (points - corner) / np.asarray(self.scales, np.float32) - np.float32(0.5)


class Batch:
    """The network's input for one picture, allocated once and reused.

    Attributes:
        array: (1, H, W, 3) or (1, 3, H, W) of the frame's dtype; its address never changes.
    """

    def __init__(self, spec: PoseSpec, frame: FrameInput) -> None:
        height, width = spec.input_size
        self._spec, self._frame = spec, frame
        self.array = np.zeros(
            (1, height, width, 3) if frame.layout == "NHWC" else (1, 3, height, width), frame.dtype
        )
        self._pixels = self._letterbox_target(height, width)
        self._plane = np.empty((height, width), np.uint8)
        self._tables = _tables(spec, frame)
        self._table = self._tables.T[None].copy()  # of all channels, as cv2.LUT takes them
        if (self._tables == self._tables[:1]).all():
            self._table = self._tables[0]  # cv2 is faster with one table

    def _letterbox_target(self, height: int, width: int) -> np.ndarray:
        """Return the (H, W, 3) uint8 array for the resized picture: the batch itself if it is uint8 NHWC."""
        if self._frame.layout == "NHWC" and self._frame.dtype != "float32":
            return self.array[0].view(np.uint8)
        return np.empty((height, width, 3), np.uint8)

    def fill(self, picture: np.ndarray) -> Letterbox:
        """Write a BGR uint8 picture (height, width, 3) into `array`.

        Raises PictureError for anything else.
        """
        box = letterbox(picture, self._spec, self._pixels)
        if self._frame.layout == "NHWC":
            self._fill_interleaved()
        else:
            self._fill_planes()
        return box

    def _fill_interleaved(self) -> None:
        """Convert the letterboxed pixels to the frame's colour order and type, in place or into `array`."""
        if self._frame.colour_order == "RGB":
            cv2.cvtColor(self._pixels, cv2.COLOR_BGR2RGB, dst=self._pixels)
        if self._frame.dtype == "float32":
            cv2.LUT(self._pixels, self._table, dst=self.array[0])
        elif self._frame.dtype == "int8":
            np.bitwise_xor(self._pixels, _TOP_BIT, out=self._pixels)

    def _fill_planes(self) -> None:
        """Write each channel of the letterboxed pixels to its plane of `array`."""
        for plane, table in enumerate(self._tables):
            channel = 2 - plane if self._frame.colour_order == "RGB" else plane
            if self._frame.dtype == "float32":
                cv2.LUT(
                    cv2.extractChannel(self._pixels, channel, self._plane), table, dst=self.array[0, plane]
                )
                continue
            values = self.array[0, plane].view(np.uint8)
            cv2.extractChannel(self._pixels, channel, values)
            if self._frame.dtype == "int8":
                np.bitwise_xor(values, _TOP_BIT, out=values)


def to_batch(picture: np.ndarray, spec: PoseSpec, frame: FrameInput) -> Tuple[np.ndarray, Letterbox]:
    """Return a new input array for one BGR uint8 picture (height, width, 3), and the picture's place in it.

    Raises PictureError for anything else. See `Batch` for the array.
    """
    batch = Batch(spec, frame)
    box = batch.fill(picture)
    return batch.array, box


def letterbox(picture: np.ndarray, spec: PoseSpec, out: np.ndarray) -> Letterbox:
    """Resize a picture to fit into `out`, centred, and fill the border with the spec's `pad_value`.

    Args:
        picture: (height, width, 3) BGR uint8.
        spec: contract with the input size and the border.
        out: (H, W, 3) uint8 of the spec's input size, overwritten.

    Raises PictureError for anything but a picture.
    """
    check_picture(picture)
    box, rows, columns = place(picture.shape[0], picture.shape[1], spec)
    bottom, right = box.top + rows, box.left + columns
    cv2.resize(
        halved(picture, box.scale),
        (columns, rows),
        dst=out[box.top : bottom, box.left : right],
        interpolation=cv2.INTER_LINEAR,
    )
    for border in (
        out[: box.top],
        out[bottom:],
        out[box.top : bottom, : box.left],
        out[box.top : bottom, right:],
    ):
        border[...] = spec.pad_value
    return box


def halved(picture: np.ndarray, scale: float) -> np.ndarray:
    """Halve a picture (height, width, 3) by averaging 2 x 2 pixels until the rest of `scale` skips no pixels.

    Large pictures of a camera then look like the network's training pictures.
    """
    while scale < HALVED_BELOW and min(picture.shape[:2]) > 1:
        picture = cv2.resize(
            picture, (picture.shape[1] // 2, picture.shape[0] // 2), interpolation=cv2.INTER_AREA
        )
        scale *= 2
    return picture


def place(height: int, width: int, spec: PoseSpec) -> Tuple[Letterbox, int, int]:
    """Return the place of a picture of this size in the input, and the rows and columns that it covers.

    Raises PictureError for a picture so long and thin that it covers less than one cell of the network's
    maps.
    """
    high, wide = spec.input_size
    scale = min(high / height, wide / width)
    rows, columns = min(high, round(height * scale)), min(wide, round(width * scale))
    if min(rows, columns) < spec.stride:
        raise PictureError(
            f"a picture of {width} x {height} pixels would be {columns} x {rows} in the network's "
            f"{wide} x {high}, less than one cell of {spec.stride}; crop it"
        )
    box = Letterbox(
        (columns / width, rows / height), (wide - columns) // 2, (high - rows) // 2, (height, width)
    )
    return box, rows, columns


def check_picture(picture: Any) -> None:
    """Raise PictureError unless `picture` is a BGR uint8 array (height, width, 3) with pixels in it."""
    wanted = "a picture must be a BGR uint8 array (height, width, 3)"
    if not isinstance(picture, np.ndarray):
        hint = "; cv2.imread returns None for a file that it cannot read" if picture is None else ""
        raise PictureError(f"{wanted}, got {type(picture).__name__}{hint}")
    channels = picture.shape[2] if picture.ndim == 3 else 1
    if picture.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise PictureError(f"{wanted}, got shape {picture.shape}; pass one picture at a time, channels last")
    if channels != 3:
        kind, code = ("gray", "COLOR_GRAY2BGR") if channels == 1 else ("BGRA", "COLOR_BGRA2BGR")
        raise PictureError(
            f"{wanted}, got a {kind} one of shape {picture.shape}; "
            f"convert it by cv2.cvtColor(picture, cv2.{code})"
        )
    if picture.dtype != np.uint8:
        raise PictureError(f"{wanted}, got {picture.dtype}; convert it to uint8 with values 0..255")
    if picture.size == 0:
        raise PictureError(f"{wanted}, got an empty one of shape {picture.shape}")
    if max(picture.shape[:2]) > LARGEST_SIDE_PX:
        raise PictureError(
            f"a picture's sides may have {LARGEST_SIDE_PX} pixels, "
            f"got {picture.shape[1]} x {picture.shape[0]}; reduce it"
        )


def _tables(spec: PoseSpec, frame: FrameInput) -> np.ndarray:
    """Return the float32 value of each pixel value (3, 256), channels in the frame's colour order."""
    values = np.tile(np.arange(256, dtype=np.float32), (3, 1))
    if not frame.normalized:
        return values
    mean, std = np.asarray(spec.mean, np.float32)[:, None], np.asarray(spec.std, np.float32)[:, None]
    if frame.colour_order != spec.colour_order:
        mean, std = mean[::-1], std[::-1]
    return (values - mean) / std
