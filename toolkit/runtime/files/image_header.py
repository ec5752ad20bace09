"""Read the size of a picture file from its header, and check its structure, before anything is decoded.

A file of a hundred bytes may claim gigabytes of pixels or of chunks, and decoders allocate what is claimed.
"""

from __future__ import annotations

import struct
from typing import Optional, Tuple

# Markers of JPEG that start a frame and hold its size: SOF0 to SOF15 without DHT, JPG and DAC.
_FRAME_STARTS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
# Decoding time grows with scans times pixels; encoders write about ten.
_MOST_SCANS = 200
_PNG = b"\x89PNG\r\n\x1a\n"
_CORE_HEADER = 12  # bytes of the oldest BMP header, with sizes of 16 bits


def picture_format(head: bytes) -> Optional[str]:
    """Return "png", "jpeg", "bmp" or "webp" from the first 16 bytes of a file, or None."""
    if head.startswith(_PNG):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    return "bmp" if head.startswith(b"BM") else None


def picture_size(content: bytes) -> Optional[Tuple[int, int]]:
    """Return (height, width) in pixels from the header of a PNG, JPEG, BMP or WebP file, else None."""
    readers = {"png": _png_size, "jpeg": _jpeg_size, "bmp": _bmp_size, "webp": _webp_size}
    kind = picture_format(content[:16])
    try:
        return readers[kind](content) if kind else None
    except struct.error:
        return None


def picture_fault(content: bytes) -> Optional[str]:
    """Return why a file with a valid header cannot be decoded in full, or None if it can."""
    checks = {"png": _png_fault, "jpeg": _jpeg_fault, "bmp": _bmp_fault, "webp": _webp_fault}
    kind = picture_format(content[:16])
    try:
        return checks[kind](content) if kind else "its format is unknown"
    except struct.error:
        return "it is cut off"


def _png_size(content: bytes) -> Optional[Tuple[int, int]]:
    length, kind, width, height = struct.unpack_from(">I4sII", content, len(_PNG))
    return (height, width) if (length, kind) == (13, b"IHDR") else None


def _png_fault(content: bytes) -> Optional[str]:
    """Walk the chunks up to the last."""
    at = len(_PNG)
    while at < len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        if at + 12 + length > len(content):
            held = max(0, len(content) - at - 12)
            return f"its chunk {kind.decode('latin-1')!a} claims {length} bytes, the file holds {held}"
        if kind == b"IEND":
            return None
        at += 12 + length
        if kind == b"IHDR" and at != len(_PNG) + 25:
            return "it has two headers"
    return "it is cut off"


def _jpeg_size(content: bytes) -> Optional[Tuple[int, int]]:
    at = _jpeg_marker(content, _FRAME_STARTS)
    if at is None:
        return None
    height, width = struct.unpack_from(">HH", content, at + 5)
    return height, width


def _jpeg_marker(content: bytes, wanted: "frozenset[int]") -> Optional[int]:
    """Return where the first segment of these markers starts."""
    at = 2
    while at < len(content):
        if content[at] != 0xFF:
            return None
        marker, length = struct.unpack_from(">xBH", content, at)
        if marker == 0xFF:  # padding between segments
            at += 1
        elif marker in wanted:
            return at
        else:
            at += 2 + max(2, length)
    return None


def _jpeg_fault(content: bytes) -> Optional[str]:
    scan = _jpeg_marker(content, frozenset([_START_OF_SCAN]))
    if scan is None or content.find(b"\xff\xd9", scan) < 0:
        return "it is cut off"
    scans = content.count(b"\xff\xda", scan)
    return f"it has {scans} scans, at most {_MOST_SCANS} are decoded" if scans > _MOST_SCANS else None


def _bmp_size(content: bytes) -> Optional[Tuple[int, int]]:
    (header,) = struct.unpack_from("<I", content, 14)
    width, height = struct.unpack_from("<HH" if header == _CORE_HEADER else "<ii", content, 18)
    return abs(height), abs(width)


def _bmp_fault(content: bytes) -> Optional[str]:
    start, header = struct.unpack_from("<II", content, 10)
    core = header == _CORE_HEADER
    width, height = struct.unpack_from("<HH" if core else "<ii", content, 18)
    (bits,) = struct.unpack_from("<H", content, 24 if core else 28)
    compression = 0 if core else struct.unpack_from("<I", content, 30)[0]
    row = (abs(width) * bits + 31) // 32 * 4
    return "it is cut off" if compression in (0, 3) and start + row * abs(height) > len(content) else None


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


def _webp_fault(content: bytes) -> Optional[str]:
    """Walk the chunks of the container."""
    end = 8 + struct.unpack_from("<I", content, 4)[0]
    if end > len(content):
        return "it is cut off"
    at = 12
    while at + 8 <= end:
        (length,) = struct.unpack_from("<I", content, at + 4)
        if at + 8 + length > end:
            return f"a chunk claims {length} bytes, the file holds {end - at - 8}"
        at += 8 + length + length % 2
    return None
