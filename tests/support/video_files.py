"""Video files for tests: Matroska with a JPEG per frame at given times; cv2 writes constant rates only."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np


def element(number: str, content: bytes) -> bytes:
    """Return one EBML element; `number` is its identifier in hexadecimal digits."""
    return bytes.fromhex(number) + struct.pack(">Q", len(content) | 1 << 56) + content


def unsigned(number: str, value: int) -> bytes:
    """Return an element that holds an unsigned integer."""
    return element(number, value.to_bytes(8, "big"))


def matroska(
    pictures: Sequence[np.ndarray], seconds: Sequence[float], duration: float | None = None
) -> bytes:
    """Return a file with pictures (H, W, 3) uint8 BGR at `seconds`; `duration` in s is for its header."""
    height, width = pictures[0].shape[:2]
    info = unsigned("2AD7B1", 1_000_000) + (
        b"" if duration is None else element("4489", struct.pack(">d", 1000 * duration))
    )
    frame_size = element("E0", unsigned("B0", width) + unsigned("BA", height))
    track = element(
        "AE",
        unsigned("D7", 1) + unsigned("73C5", 1) + unsigned("83", 1) + element("86", b"V_MJPEG") + frame_size,
    )
    clusters = b"".join(
        element(
            "1F43B675", unsigned("E7", round(1000 * at)) + element("A3", b"\x81\x00\x00\x80" + jpeg(picture))
        )
        for picture, at in zip(pictures, seconds, strict=True)
    )
    header = element("1A45DFA3", element("4282", b"matroska"))
    return header + element("18538067", element("1549A966", info) + element("1654AE6B", track) + clusters)


def jpeg(picture: np.ndarray) -> bytes:
    """Return a picture as the bytes of a JPEG file."""
    return cv2.imencode(".jpg", picture)[1].tobytes()


def write_matroska(
    path: Path, pictures: Sequence[np.ndarray], seconds: Sequence[float], duration: float | None = None
) -> Path:
    """Write the file that `matroska` returns."""
    path.write_bytes(matroska(pictures, seconds, duration))
    return path
