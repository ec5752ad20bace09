"""Arrays from files that came from elsewhere."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Dict, Union

import numpy as np

from .plain_files import read_plain

LARGEST_BYTES = 512 * 2**20
MOST_ARRAYS = 20_000
_ENTRY_MARK = b"PK\x01\x02"  # begins each entry of a zip file's directory
_METHODS = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
)  # what numpy writes; others may ask for gigabytes before they yield a byte
_KINDS = "fiubU"  # numbers, booleans and texts


def read_arrays(path: Union[str, Path], most_bytes: int = LARGEST_BYTES) -> Dict[str, np.ndarray]:
    """Return the arrays of an .npz file by name.

    Raises ValueError where it is no such file, holds anything but numbers and texts, or unpacks to more than
    `most_bytes`.
    """
    content = read_plain(path, most_bytes=most_bytes)
    try:
        return _unpacked(content, most_bytes)
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds on damaged bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"'{Path(path).name}' is not a readable .npz file of numbers: {reason:.200}"
        ) from error


def _unpacked(content: bytes, most_bytes: int) -> Dict[str, np.ndarray]:
    if content.count(_ENTRY_MARK) > MOST_ARRAYS:
        raise ValueError(f"holds more than {MOST_ARRAYS} arrays")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > most_bytes:
            raise ValueError(f"unpacks to {unpacked} bytes, more than the {most_bytes} allowed")
        if any(entry.compress_type not in _METHODS for entry in entries):
            raise ValueError("is packed by a method that numpy does not write")
        return {_name(entry.filename): _array(archive.read(entry)) for entry in entries}


def _name(filename: str) -> str:
    return filename[: -len(".npy")] if filename.endswith(".npy") else filename


def _array(content: bytes) -> np.ndarray:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"an array has format {version}, known are 1.0 and 2.0")
    read_header = (
        np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    )
    shape, fortran_order, dtype = read_header(file)
    if dtype.kind not in _KINDS or dtype.hasobject or dtype.fields is not None or dtype.subdtype is not None:
        raise ValueError(f"an array of {dtype!s:.40} is neither numbers nor texts")
    # Python's whole numbers do not overflow.
    count = 1
    for size in shape:
        count *= int(size) if size >= 0 else len(content) + 1
    if count * dtype.itemsize != len(content) - file.tell():
        raise ValueError(f"an array of shape {shape!s:.60} does not fill its file")
    values = np.frombuffer(content, dtype, count, file.tell()) if count else np.empty(0, dtype)
    return values.reshape(shape, order="F" if fortran_order else "C").copy()
