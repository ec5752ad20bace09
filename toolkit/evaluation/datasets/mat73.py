"""Read arrays from MATLAB's MAT files of version 7.3, which are HDF5."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import PosecError

MOST_BYTES = 512 << 20
_MAGIC = b"\x89HDF\r\n\x1a\n"
_OFFSETS = (0, 512)  # MATLAB writes a block of 512 bytes before HDF5's own


def read_mat73(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the arrays `names` of a file, with axes in reverse order of MATLAB's.

    Links to other files, virtual data sets and data in other files are refused, so that a file reads nothing
    but itself.

    Raises PosecError without h5py, for another file, and for an array that is missing, not of numbers, or
    larger than MOST_BYTES.
    """
    try:
        import h5py
    except ImportError as error:
        raise PosecError(
            f"'{path}' is a MAT file of version 7.3, which needs h5py; pip install 'posec[datasets]'"
        ) from error
    advice = "give the file as its owner ships it"
    try:
        if not Path(path).is_file():
            raise PosecError(f"no such plain file: '{path}'; {advice}")
        with Path(path).open("rb") as file:
            start = file.read(max(_OFFSETS) + len(_MAGIC))
        if not any(start[offset : offset + len(_MAGIC)] == _MAGIC for offset in _OFFSETS):
            raise ValueError("it has no HDF5 signature")
        with h5py.File(path, "r") as content:
            return {name: _array(h5py, content, name) for name in names}
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, MemoryError) as error:
        if isinstance(error, PosecError):
            raise
        raise PosecError(f"'{path}' is not a sound MAT file of version 7.3: {error}; {advice}") from error


def _array(h5py: Any, content: Any, name: str) -> np.ndarray:
    link = content.get(name, getlink=True)
    if link is None:
        raise ValueError(f"it has no array '{name}'")
    data = content[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(data, h5py.Dataset) or data.is_virtual or data.external:
        raise ValueError(f"'{name}' is no array of this file")
    if data.dtype.kind not in "iufb" or not 0 < data.nbytes <= MOST_BYTES:
        raise ValueError(f"'{name}' is not of numbers, or not of 1 byte to {MOST_BYTES >> 20} MiB")
    return np.asarray(data[()])
