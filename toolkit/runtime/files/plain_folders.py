"""Folders written atomically, under a lock of their parent."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import Iterator, Mapping, Optional

from .plain_files import PART, make_folder, part_of, parts_of, sync_folder, take_lock

_OLD_PART = f".old{PART}"


def write_folder(folder: Path, files: Mapping[str, bytes], *, replaces: Optional[str] = None) -> None:
    """Write a folder of files atomically.

    Args:
        folder: created with its parents. An existing folder must be empty, or hold the file
            `replaces`.
        files: relative path → bytes.
        replaces: name of the file by which a folder that may be replaced is recognized; None replaces none.

    Raises FileExistsError if the folder holds something else, and OSError if it cannot be written; both
    leave it as it was.
    """
    make_folder(folder.parent)
    part = part_of(folder)
    with _locked_folder(folder.parent) as alone:
        if alone:
            _restore_abandoned(folder)
        if not _is_free(folder) and not (replaces is not None and (folder / replaces).is_file()):
            raise FileExistsError(f"'{folder}' is there already")
        try:
            os.mkdir(part)
            for name, content in files.items():
                path = part / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with open(path, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            _exchange(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        sync_folder(folder.parent)


def _exchange(part: Path, folder: Path) -> None:
    """Swap the names of `part` and `folder`."""
    if _is_free(folder):
        os.rename(part, folder)
        return
    aside = part.with_name(f"{part.name[: -len(PART)]}{_OLD_PART}")
    os.rename(folder, aside)
    try:
        os.rename(part, folder)
    except BaseException:
        os.rename(aside, folder)
        raise
    os.rename(aside, part)


def _is_free(folder: Path) -> bool:
    return not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir()))


def _restore_abandoned(folder: Path) -> None:
    """Undo the changes of a process that died while it wrote a folder.

    The lock of the parent folder must be held.
    """
    for left in parts_of(folder):
        if left.name.endswith(_OLD_PART) and not os.path.lexists(folder):
            os.rename(left, folder)
        else:
            shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def _locked_folder(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder while one of its folders is replaced; yields whether there are locks."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield take_lock(descriptor, wait=True)
    finally:
        os.close(descriptor)
