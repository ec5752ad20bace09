"""Outputs of commands: checked before the work, so that an output that cannot be written is refused at once.

`cli.main` checks every argument of these types before it runs the command.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ...errors import PosecError

_PROBE = b"\0" * 4096  # a full disk still takes an empty file


class Out(str):
    """The name of a file or a folder to write."""

    def check(self) -> None:
        """Raise PosecError if nothing can be written there."""
        _check_writable(self)


class FileOut(Out):
    """The name of a file to write."""

    def check(self) -> None:
        """Raise PosecError if it is a folder, or nothing can be written there."""
        if self and Path(self).is_dir():
            raise PosecError(f"'{self}' is a folder; name a file to write")
        super().check()


class FolderOut(Out):
    """The name of a folder to write, or to write into."""

    def check(self) -> None:
        """Raise PosecError if it is a file, or nothing can be written there."""
        if self and Path(self).exists() and not Path(self).is_dir():
            raise PosecError(f"'{self}' is a file; name a folder to write")
        super().check()


class OwnFolderOut(FolderOut):
    """The name of a folder that the command makes, or replaces as a whole."""

    def check(self) -> None:
        """Raise PosecError if it contains the current folder, or nothing can be written there."""
        here, path = Path.cwd(), Path(os.path.abspath(self))
        if self and (path == here or path in here.parents):
            raise PosecError(f"'{self}' is the current folder or holds it; name a folder of its own")
        super().check()


class CheckpointOut(OwnFolderOut):
    """The name of a checkpoint folder to write, which replaces nothing but a checkpoint."""

    def check(self) -> None:
        """Raise PosecError if it holds other files, or nothing can be written there."""
        from ...network.checkpoint_files import SPEC

        super().check()
        if any(Path(self).glob("*")) and not (Path(self) / SPEC).is_file():
            raise PosecError(f"'{self}' exists and is not a checkpoint; give a new or an empty folder")


def check_outputs(values: Iterable[object]) -> None:
    """Check the arguments of a command that name outputs. Raises PosecError for the first bad one."""
    for value in values:
        if isinstance(value, Out):
            value.check()


def _check_writable(name: str) -> None:
    """Raise PosecError unless a file or folder of that name can be written, probed with a temporary file."""
    if not name:
        raise PosecError("the name of the output is empty; give one")
    path = Path(name)
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise PosecError(f"'{name}' is a device or a pipe; name a plain file or a folder to write")
        folder = path if path.is_dir() else path.parent
        while not os.path.lexists(folder):
            folder = folder.parent
        if not folder.is_dir():
            raise PosecError(f"cannot write '{name}': '{folder}' is not a folder; give another name")
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(_PROBE)
            probe.flush()
        _check_length(path, folder)
    except (OSError, ValueError) as error:
        if isinstance(error, PosecError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise PosecError(f"cannot write '{name}': {reason}; give another name") from error


def _check_length(path: Path, folder: Path) -> None:
    """Raise OSError if a part of the path is longer than the file system allows for a partial file."""
    longest = os.pathconf(folder, "PC_NAME_MAX") - len(".12345678.part")
    if any(len(os.fsencode(part)) > longest for part in path.parts):
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
