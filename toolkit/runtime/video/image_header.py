"""How large a picture file says it is, before anything is unpacked: a few hundred bytes may claim gigabytes of pixels."""

from __future__ import annotations

import struct
from typing import Optional, Tuple

# Markers of JPEG that start a frame and hold its size: SOF0 to SOF15 without DHT, JPG and DAC.
_FRAME_STARTS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def picture_size(content: bytes) -> Optional[Tuple[int, int]]:
    """Return (height, width) in pixels from the header of a PNG, JPEG, BMP or WebP file, or None where it is none of them."""
    try:
        if content.startswith(b"\x89PNG\r\n\x1a\n"):
            width, height = struct.unpack_from(">II", content, 16)
        elif content.startswith(b"\xff\xd8"):
            return _jpeg_size(content)
        elif content.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", content, 18)
        elif content.startswith(b"RIFF") and content[8:12] == b"WEBP":
            return _webp_size(content)
        else:
            return None
    except struct.error:
        return None
    return abs(height), abs(width)


def _jpeg_size(content: bytes) -> Optional[Tuple[int, int]]:
    """Walk the segments up to the one that starts the frame."""
    at = 2
    while at < len(content):
        if content[at] != 0xFF:
            return None
        marker, length = struct.unpack_from(">xBH", content, at)
        if marker == 0xFF:  # padding between segments
            at += 1
        elif marker in _FRAME_STARTS:
            height, width = struct.unpack_from(">HH", content, at + 5)
            return height, width
        else:
            at += 2 + length
    return None


def _webp_size(content: bytes) -> Optional[Tuple[int, int]]:
    """Read the first chunk: extended, lossy or lossless."""
    kind = content[12:16]
    if kind == b"VP8X":
        low_w, high_w, low_h, high_h = struct.unpack_from("<HBHB", content, 24)
        return low_h + (high_h << 16) + 1, low_w + (high_w << 16) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", content, 26)
        return height & 0x3FFF, width & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return ((bits >> 14) & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    return None
