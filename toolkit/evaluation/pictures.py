"""Read evaluation pictures by name from a folder or a tar file. Valid Python 3.8: a board runs this."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import posixpath
import tarfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PosecError
from ..runtime.errors import PoseError
from ..runtime.files.pictures import decode_picture
from ..runtime.files.pictures import read_picture as read_file

MOST_BYTES = 64 << 20
# Limit for compressed tar files: a small one may expand to terabytes.
MOST_UNPACKED_BYTES = 64 << 30
MOST_MEMBERS = 10**6
_LONGEST_CHAIN = 8
_OPENERS = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open))
# Raised on damaged archives.
_DAMAGES = (
    OSError,
    EOFError,
    ValueError,
    lzma.LZMAError,
    tarfile.TarError,
    RecursionError,
    MemoryError,
    OverflowError,
)


def read_picture(source: str | Path, name: str) -> np.ndarray:
    """Return picture `name` (H, W, 3) uint8 BGR of a folder or tar file, by the runtime's reader of pictures.

    Links are followed; in a tar file, only to its members. Raises PosecError where the picture is missing,
    outside the folder, larger than 64 MiB or not a picture.
    """
    path = Path(source)
    inside = posixpath.normpath(name.replace("\\", "/"))
    if inside.startswith(("..", "/")) or "\0" in name or Path(name).is_absolute():
        raise PosecError(f"picture '{name}' lies outside '{source}'; correct the annotations")
    try:
        if path.is_dir():
            if not (path / name).is_file():
                raise _missing(source, name)
            _check_size(name, (path / name).stat().st_size)
            return read_file(path / name)
        return decode_picture(_from_tar(path, inside), f"'{name}'")
    except PoseError as error:
        raise PosecError(
            f"picture '{name}' in '{source}': {error}; remove it from the annotations or replace it"
        ) from error
    except FileNotFoundError as error:
        raise _missing(source, name) from error


def _missing(source: str | Path, name: str) -> PosecError:
    return PosecError(
        f"no picture '{name}' in '{source}'; give the folder or tar file that the annotations belong to"
    )


def _from_tar(path: Path, name: str) -> bytes:
    try:
        archive, members = _opened(path, path.stat().st_mtime_ns)
        member = members.get(name)
        for _ in range(_LONGEST_CHAIN):
            if member is None or not (member.issym() or member.islnk()):
                break
            folder = posixpath.dirname(posixpath.normpath(member.name)) if member.issym() else ""
            member = members.get(posixpath.normpath(posixpath.join(folder, member.linkname)))
        if member is None:
            raise _missing(path, name)
        if not member.isfile():
            raise PosecError(
                f"'{name}' in '{path}' is no file, or a link to none; give a tar file of pictures"
            )
        _check_size(name, member.size)
        stream: Any = archive.extractfile(member)
        content: bytes = stream.read()
        if len(content) != member.size:
            raise PosecError(f"tar file '{path}' is cut off at '{name}'; copy it again")
    except FileNotFoundError:
        raise
    except PosecError:
        raise
    except _DAMAGES as error:
        raise PosecError(
            f"'{path}' is not a sound tar file: {error}; give a folder or tar file of pictures"
        ) from error
    return content


@lru_cache(maxsize=2)
def _opened(path: Path, changed_ns: int) -> tuple[tarfile.TarFile, dict[str, tarfile.TarInfo]]:
    """Return an open tar file and its members by normalized name; cached until the file changes."""
    with path.open("rb") as file:
        start = file.read(6)
    opener = next((opener for magic, opener in _OPENERS if start.startswith(magic)), None)
    plain: Any = path.open("rb") if opener is None else opener(path, "rb")
    most_bytes = MOST_UNPACKED_BYTES if opener else path.stat().st_size
    archive = tarfile.open(fileobj=_Bounded(plain, most_bytes))  # noqa: SIM115
    members: dict[str, tarfile.TarInfo] = {}
    for member in archive:
        members[posixpath.normpath(member.name)] = member
        if len(members) > MOST_MEMBERS:
            raise ValueError(f"it has more than {MOST_MEMBERS} members")
    return archive, members


class _Bounded(io.RawIOBase):
    """A file with limits on the size of a read and the position, against archives that never end."""

    def __init__(self, file: Any, most_bytes: int) -> None:
        self._file, self._most_bytes = file, most_bytes

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes. Raises ValueError where the piece or the position is too large."""
        if not 0 <= size <= 2 * MOST_BYTES or self._file.tell() > self._most_bytes:
            raise ValueError(
                f"it holds more than {self._most_bytes >> 20} MiB, "
                f"or a header of more than {MOST_BYTES >> 19} MiB"
            )
        content: bytes = self._file.read(size)
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        """Set the position."""
        return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        """Return the position."""
        return int(self._file.tell())

    def seekable(self) -> bool:
        """Return True: compressed files are read again from the start."""
        return True

    def readable(self) -> bool:
        """Return True."""
        return True


def _check_size(name: str, size: int) -> None:
    if size > MOST_BYTES:
        raise PosecError(
            f"picture '{name}' has {size >> 20} MiB, at most {MOST_BYTES >> 20} MiB are read; make it smaller"
        )
