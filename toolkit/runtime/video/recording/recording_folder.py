"""The folder of a recording: its lock, its manifest, and which files in it a run wrote."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import Dict, List, Mapping, Optional

from ...console import printable
from ...errors import PoseError
from ...files.plain_json import parse_json
from .clip import CLIPS

try:
    import fcntl
except ImportError:  # neither Linux nor macOS: recordings are not locked there
    fcntl = None  # type: ignore[assignment]

LINES, MANIFEST = "people.jsonl", "recording.json"
INTERRUPTED = re.compile(r"interrupted-\d{3,}")
LARGEST_MANIFEST = 2**26
CLOCK_S = 2.0  # resolution of times on FAT
# First bytes of a manifest, finished or cut off.
MAGIC = b'{"recording of": "posec run",'
_OURS = re.compile(rf"{re.escape(LINES)}|{CLIPS}|.*\.jpg|\..+\.[0-9a-f]{{8}}\.part", re.DOTALL)


class OutputError(PoseError):
    """A folder that cannot be recorded in, or a recording that cannot go on."""


def possible_files(folder: Path) -> List[str]:
    """Return the names in a folder that a run may have recorded."""
    return sorted(name for name in os.listdir(folder) if name != MANIFEST and not INTERRUPTED.fullmatch(name))


def recorded_files(folder: Path, shown: str) -> List[str]:
    """Return the recorded files in a folder. Raises OutputError where anything else is there."""
    if not folder.exists():
        return []
    try:
        names = possible_files(folder)
    except OSError as error:
        raise OutputError(f"cannot read '{shown}': {error.strerror}") from error
    manifest = folder / MANIFEST
    for name in names:
        is_plain = stat.S_ISREG((folder / name).lstat().st_mode)
        if not (is_plain and _OURS.fullmatch(name) and manifest.is_file() and not manifest.is_symlink()):
            raise OutputError(
                f"'{shown}' holds '{printable(name, keep='')}', which `posec run` did not write; name another folder"
            )
    if os.path.lexists(manifest) and (manifest.is_symlink() or not manifest.is_file()):
        raise OutputError(f"'{shown}' holds a '{MANIFEST}' that is no plain file; name another folder")
    return names


def locked(path: Path, shown: str) -> int:
    """Return the descriptor of a file that is locked for this process. Raises OutputError where another one has it."""
    while True:
        lock = os.open(str(path), os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
        try:
            if fcntl is not None:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                os.close(lock)
                raise OutputError(
                    f"another process is recording in '{shown}'; name another folder, or stop that process"
                ) from error
            # A network file system without locks: go on without.
        try:
            if os.path.samestat(os.fstat(lock), os.stat(str(path))):
                return lock
        except FileNotFoundError:
            pass
        os.close(lock)  # its owner removed it between the two calls


def listed_files(content: bytes) -> Optional[Dict[str, int]]:
    """Return name → bytes of the files of a finished recording; None for one that was cut off."""
    try:
        plain = parse_json(content)
    except ValueError:
        return None
    files = plain.get("files") if isinstance(plain, dict) else None
    return dict(files) if isinstance(files, dict) else None


def changed_files(folder: Path, listed: Mapping[str, int], names: List[str]) -> List[str]:
    """Return those of `names` that are not as the run left them: not listed, of another size, or written later."""
    ended = (folder / MANIFEST).stat().st_mtime + CLOCK_S
    found = {name: (folder / name).lstat() for name in names}
    return sorted(
        name for name, file in found.items() if listed.get(name) != file.st_size or file.st_mtime > ended
    )


def keep_aside(folder: Path, names: List[str]) -> Optional[str]:
    """Move files to a new folder inside; returns its path, or None where all were empty and are removed."""
    if not any((folder / name).lstat().st_size for name in names):
        for name in names:
            (folder / name).unlink()
        return None
    number = 1 + max(
        (int(name.rpartition("-")[2]) for name in os.listdir(folder) if INTERRUPTED.fullmatch(name)),
        default=0,
    )
    aside = folder / f"interrupted-{number:03d}"
    aside.mkdir()
    for name in names:
        os.rename(folder / name, aside / name)
    return printable(str(aside), keep="")


def remove(path: Path) -> None:
    """Remove a file if that is possible."""
    try:
        path.unlink()
    except OSError:
        pass


def remove_folder(folder: Path) -> None:
    """Remove a folder if it is empty."""
    try:
        folder.rmdir()
    except OSError:
        pass


def check_apart(source: str, folder: str) -> None:
    """Raise OutputError where the source lies in a recording's folder, whose files would be replaced while they are read."""
    inside, around = Path(os.path.realpath(source)), Path(os.path.realpath(folder))
    if (
        os.path.lexists(source)
        and (inside == around or around in inside.parents)
        and (around / MANIFEST).exists()
    ):
        raise OutputError(
            f"the source lies in the output folder '{printable(folder, keep='')}'; name another folder"
        )
