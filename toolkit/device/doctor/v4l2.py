"""Modes of a camera, asked of its driver: Video for Linux 2, by ioctl.

Layouts and numbers are those of linux/videodev2.h.
"""

from __future__ import annotations

import os
import struct
from typing import Any, NamedTuple

CAPABILITY = struct.Struct("=16s32s32sIII3I")
FORMAT = struct.Struct("=III32sII3I")
FRAME_SIZE = struct.Struct("=III6I2I")
FRAME_INTERVAL = struct.Struct("=IIIII6I2I")
CAN_CAPTURE, HAS_DEVICE_CAPS, CAN_CAPTURE_PLANES = 0x1, 0x80000000, 0x1000
_CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
_DISCRETE = 1
_MOST = 64  # entries of a list that a driver gives


def _request(direction: int, number: int, layout: struct.Struct) -> int:
    """Return the number of an ioctl of the group V: 2 reads, 3 writes and reads."""
    return direction << 30 | layout.size << 16 | ord("V") << 8 | number


QUERY_CAPABILITY = _request(2, 0, CAPABILITY)
LIST_FORMATS = _request(3, 2, FORMAT)
LIST_SIZES = _request(3, 74, FRAME_SIZE)
LIST_INTERVALS = _request(3, 75, FRAME_INTERVAL)


class Mode(NamedTuple):
    """A mode of a camera: format such as "MJPG", width and height in px, and the highest rate per second."""

    format: str
    width: int
    height: int
    rate: float | None

    def __str__(self) -> str:
        return f"{self.format} {self.width}x{self.height}" + (f" {self.rate:g}/s" if self.rate else "")


class Device(NamedTuple):
    """A video device: its name, and its modes; none if it is no camera."""

    name: str
    modes: list[Mode]


def read_device(path: str) -> Device | None:
    """Return the name and modes of a device; None if it captures no video. Raises OSError if not opened."""
    descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    try:
        answer = _ask(descriptor, QUERY_CAPABILITY, CAPABILITY, {})
        if answer is None:
            return None
        _, card, _, _, whole, own, *_ = answer
        able = own if whole & HAS_DEVICE_CAPS else whole
        if not able & (CAN_CAPTURE | CAN_CAPTURE_PLANES):
            return None
        name = card.split(b"\0")[0].decode(errors="replace")
        return Device(name, _modes(descriptor) if able & CAN_CAPTURE else [])
    finally:
        os.close(descriptor)


def _modes(descriptor: int) -> list[Mode]:
    modes = []
    for entry in _listed(descriptor, LIST_FORMATS, FORMAT, {1: _CAPTURE}):
        code = entry[4]
        name = struct.pack("<I", code & 0x7FFFFFFF).decode("ascii", "replace").strip()
        for width, height in _sizes(descriptor, code):
            modes.append(Mode(name, width, height, _rate(descriptor, code, width, height)))
    return modes


def _sizes(descriptor: int, code: int) -> list[tuple[int, int]]:
    """Return the sizes of a format; the largest alone where a driver gives a range."""
    found = []
    for entry in _listed(descriptor, LIST_SIZES, FRAME_SIZE, {1: code}):
        kind, numbers = entry[2], entry[3:9]
        if kind != _DISCRETE:
            return [(numbers[1], numbers[4])]
        found.append((numbers[0], numbers[1]))
    return found


def _rate(descriptor: int, code: int, width: int, height: int) -> float | None:
    rates = []
    for entry in _listed(descriptor, LIST_INTERVALS, FRAME_INTERVAL, {1: code, 2: width, 3: height}):
        seconds, parts = entry[5], entry[6]  # of the shortest interval where a driver gives a range
        if seconds:
            rates.append(round(parts / seconds, 2))
        if entry[4] != _DISCRETE:
            break
    return max(rates, default=None)


def _listed(
    descriptor: int, request: int, layout: struct.Struct, asked: dict[int, int]
) -> list[tuple[Any, ...]]:
    """Return the entries of a list that a driver gives one by one; `asked` has fields by position."""
    found = []
    for index in range(_MOST):
        entry = _ask(descriptor, request, layout, {0: index, **asked})
        if entry is None:
            break
        found.append(entry)
    return found


def _ask(
    descriptor: int, request: int, layout: struct.Struct, asked: dict[int, int]
) -> tuple[Any, ...] | None:
    """Return the fields of an answer; None where the driver has none."""
    from fcntl import ioctl  # a host may be no Linux

    buffer = bytearray(layout.size)
    for position, value in asked.items():
        struct.pack_into("=I", buffer, 4 * position, value)
    try:
        ioctl(descriptor, request, buffer)
    except OSError:
        return None
    return layout.unpack(buffer)
