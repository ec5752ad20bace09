"""Evaluation pictures by name, from a folder or a tar file; nothing is unpacked. Valid Python 3.8: a board runs this."""

from __future__ import annotations

import tarfile
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from ..errors import PosecError

MOST_BYTES = 64 << 20


def read_picture(source: str | Path, name: str) -> np.ndarray:
    """Return picture `name` (H, W, 3) uint8 BGR of a folder or tar file.

    Raises PosecError where it is missing, outside the folder, larger than 64 MiB or not a picture.
    """
    path = Path(source)
    try:
        data = _from_folder(path, name) if path.is_dir() else _from_tar(path, name)
    except (OSError, tarfile.TarError, KeyError) as error:
        raise PosecError(
            f"no picture '{name}' in '{source}'; give the folder or tar file that the annotations belong to"
        ) from error
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if picture is None:
        raise PosecError(
            f"'{name}' in '{source}' is not a picture that OpenCV reads; remove it from the annotations or replace it"
        )
    return np.asarray(picture)


def _from_folder(folder: Path, name: str) -> bytes:
    path = (folder / name).resolve()
    if folder.resolve() not in path.parents:
        raise PosecError(f"picture '{name}' lies outside '{folder}'; correct the annotations")
    _check_size(name, path.stat().st_size)
    return path.read_bytes()


def _from_tar(path: Path, name: str) -> bytes:
    archive = _opened(path, path.stat().st_mtime_ns)
    member = archive.getmember(name)
    _check_size(name, member.size)
    stream = archive.extractfile(member)
    if stream is None:
        raise KeyError(name)
    return stream.read()


@lru_cache(maxsize=2)
def _opened(path: Path, changed_ns: int) -> tarfile.TarFile:
    """Return a tar file, open: its list of members is read once, and again when the file has changed."""
    return tarfile.open(path)


def _check_size(name: str, size: int) -> None:
    if size > MOST_BYTES:
        raise PosecError(
            f"picture '{name}' has {size >> 20} MiB, at most {MOST_BYTES >> 20} MiB are read; make it smaller"
        )
