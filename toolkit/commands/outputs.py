"""What commands write: refused before the work where it cannot be written, and never a device or another kind of thing.

An argument of one of the types here is checked by `cli.main` before its command starts.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import Any

from ..errors import PosecError

PROBE = b"\0" * 4096  # a full disk still takes an empty file


class Out(str):
    """The name of a file or a folder to write."""

    def check(self) -> None:
        """Raise PosecError where nothing can be written there."""
        check_output(self)


class FileOut(Out):
    """The name of a file to write."""

    def check(self) -> None:
        """Raise PosecError where a folder is there, or nothing can be written."""
        if self and Path(self).is_dir():
            raise PosecError(f"'{self}' is a folder; name a file to write")
        check_output(self)


class FolderOut(Out):
    """The name of a folder to write, or to write into."""

    def check(self) -> None:
        """Raise PosecError where a file is there, or nothing can be written."""
        if self and Path(self).exists() and not Path(self).is_dir():
            raise PosecError(f"'{self}' is a file; name a folder to write")
        check_output(self)


class OwnFolderOut(FolderOut):
    """The name of a folder that the command makes, or replaces as a whole."""

    def check(self) -> None:
        """Raise PosecError where it is the current folder or holds it, or nothing can be written."""
        here, path = Path.cwd(), Path(os.path.abspath(self))
        if self and (path == here or path in here.parents):
            raise PosecError(f"'{self}' is the current folder or holds it; name a folder of its own")
        super().check()


def check_outputs(values: Any) -> None:
    """Check the values of a command's arguments that name outputs. Raises PosecError for the first that cannot be written."""
    for value in values:
        if isinstance(value, Out):
            value.check()


def check_output(name: str | Path) -> None:
    """Raise PosecError unless a file or folder of that name can be written: tried out beside it, and nothing is left."""
    if not str(name):
        raise PosecError("the name of the output is empty; give one")
    path = Path(name)
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise PosecError(f"'{name}' is a device or a pipe; name a plain file or a folder to write")
        here = path if path.is_dir() else path.parent
        while not os.path.lexists(here):
            here = here.parent
        if not here.is_dir():
            raise PosecError(f"cannot write '{name}': '{here}' is not a folder; give another name")
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        with tempfile.TemporaryFile(dir=here) as probe:
            probe.write(PROBE)
            probe.flush()
        longest = os.pathconf(here, "PC_NAME_MAX") - len(".12345678.part")
        for part in path.parts:
            if len(os.fsencode(part)) > longest:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    except (OSError, ValueError) as error:
        if isinstance(error, PosecError):
            raise
        raise PosecError(
            f"cannot write '{name}': {getattr(error, 'strerror', None) or error}; give another name"
        ) from error
