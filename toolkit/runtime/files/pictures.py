"""Read and write picture files, for all commands; file names need not be UTF-8."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Union

import cv2
import numpy as np

from ..console import printable
from ..errors import PoseError
from .image_header import picture_fault, picture_size
from .plain_files import write_plain

PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
LARGEST_FILE_BYTES = 256 * 2**20
LARGEST_PICTURE_PIXELS = 100 * 10**6
OVERLAY_QUALITY = 92  # of JPEG, in percent


class SourceError(PoseError):
    """A source of pictures that cannot be read."""


def read_picture(path: Union[str, Path]) -> np.ndarray:
    """Return a picture file as (height, width, 3) uint8 BGR, rotated by its EXIF orientation.

    `joints_px` therefore fit the picture as viewers show it. Gray, transparent and 16-bit files are
    converted. Raises SourceError for a file that is not a plain file, not PNG, JPEG, BMP or WebP, damaged, or
    too large.
    """
    name = printable(str(path), keep="")
    return decode_picture(read_bounded(path, f"picture '{name}'"), f"'{name}'")


def read_bounded(path: Union[str, Path], name: str) -> bytes:
    """Return the bytes of a plain file of at most 256 MB. Raises SourceError for any other file."""
    if "\0" in str(path):
        raise SourceError(f"cannot read {name}: a path has no null character")
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise SourceError(
                    f"{name} is not a plain file; give a file, or `posec run --source` a camera or a pipe"
                )
            content = file.read(LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise SourceError(f"cannot read {name}: {error.strerror}") from error
    if len(content) > LARGEST_FILE_BYTES:
        raise SourceError(
            f"{name} has {found.st_size / 1e6:.0f} MB, pictures may have {LARGEST_FILE_BYTES / 1e6:.0f}"
        )
    return content


def decode_picture(content: bytes, name: str) -> np.ndarray:
    """Decode a picture file to (height, width, 3) uint8 BGR; see `read_picture`. `name` is for errors.

    Raises SourceError for damaged files, and before decoding for headers with too many pixels.
    """
    size = picture_size(content)
    if not content:
        raise SourceError(f"picture {name} is empty: its file has no bytes")
    if size is None:
        raise SourceError(f"{name} is not a picture; known: {', '.join(kind[1:] for kind in PICTURES)}")
    if size[0] * size[1] > LARGEST_PICTURE_PIXELS:
        raise SourceError(
            f"{name} has {size[1]} x {size[0]} pixels, pictures may have {LARGEST_PICTURE_PIXELS // 10**6} "
            "million; reduce it"
        )
    fault = picture_fault(content)
    if fault:
        raise SourceError(f"picture {name} is damaged: {fault}")
    silence_cv2()
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except (cv2.error, MemoryError) as error:
        raise SourceError(f"picture {name} is damaged: {error}") from error
    if picture is None:
        raise SourceError(f"picture {name} is damaged: its header is sound, its pixels are not")
    return picture


def silence_cv2() -> None:
    """Silence cv2 and FFmpeg: their messages include passwords, and come once per damaged packet."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    logging = getattr(getattr(cv2, "utils", None), "logging", None)
    if logging is not None:
        logging.setLogLevel(logging.LOG_LEVEL_SILENT)


def encode_picture(picture: np.ndarray, suffix: str, quality: int = OVERLAY_QUALITY) -> bytes:
    """Return a picture (H, W, 3) uint8 BGR as a file of the kind that the suffix names, such as ".png".

    `quality` is that of JPEG, in percent. Raises PoseError if cv2 cannot encode it.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix.lower() in (".jpg", ".jpeg") else []
    try:
        is_encoded, content = cv2.imencode(suffix, picture, options)
    except cv2.error as error:
        raise PoseError(f"cannot write a picture as '{suffix}': {error}") from error
    if not is_encoded:
        raise PoseError(f"cannot write a picture of shape {picture.shape} as '{suffix}'")
    return bytes(content.tobytes())


def write_picture(path: Union[str, Path], picture: np.ndarray, quality: int = OVERLAY_QUALITY) -> None:
    """Write a picture file atomically; the suffix and `quality` as in `encode_picture`.

    Raises OSError if the file cannot be written, PoseError if cv2 cannot encode it.
    """
    write_plain(path, encode_picture(picture, Path(path).suffix, quality), durable=False)
