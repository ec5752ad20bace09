"""Arrays from files that came from elsewhere."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Dict, Union

import numpy as np

LARGEST_BYTES = 512 * 2**20


def read_arrays(path: Union[str, Path], most_bytes: int = LARGEST_BYTES) -> Dict[str, np.ndarray]:
    """Return the arrays of an .npz file by name.

    Raises ValueError where it is no such file, holds objects rather than numbers, or unpacks to more than `most_bytes`.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            unpacked = sum(entry.file_size for entry in packed.infolist())
        if unpacked > most_bytes:
            raise ValueError(f"unpacks to {unpacked} bytes, more than the {most_bytes} allowed")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (
        OSError,
        ValueError,
        KeyError,
        EOFError,
        MemoryError,
        RuntimeError,
        NotImplementedError,
        zipfile.BadZipFile,
    ) as error:
        raise ValueError(f"'{Path(path).name}' is not a readable .npz file of numbers: {error}") from error
