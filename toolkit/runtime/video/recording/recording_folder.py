"""The folder of a recording: its lock, its manifest, and the files that a run wrote."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional

from ...console import printable
from ...files.plain_json import parse_json
from .disk_limit import CLIPS
from .line_file import LINES, ROTATED, has_name
from .output_error import OutputError

try:
    import fcntl
except ImportError:  # neither Linux nor macOS: recordings are not locked there
    fcntl = None  # type: ignore[assignment]

MANIFEST = "recording.json"
INTERRUPTED = re.compile(r"interrupted-\d{3,}")
LARGEST_MANIFEST = 2**26
CLOCK_S = 2.0  # resolution of times on FAT
# First bytes of a manifest, finished or cut off.
MAGIC = b'{"recording of": "posec run",'
_OURS = re.compile(
    rf"{re.escape(LINES)}|{ROTATED.pattern}|{CLIPS.pattern}|.*\.jpg|\..+\.[0-9a-f]{{8}}\.part", re.DOTALL
)


class RecordedFile(NamedTuple):
    """Size and time of a file when its run ended."""

    size: int
    modified_s: float


def possible_files(folder: Path) -> List[str]:
    """Return the names in a folder that a run may have recorded."""
    return sorted(name for name in os.listdir(folder) if name != MANIFEST and not INTERRUPTED.fullmatch(name))


def recorded_files(folder: Path, shown: str) -> List[str]:
    """Return the recorded files in a folder. Raises OutputError if anything else is there."""
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
                f"'{shown}' holds '{printable(name, keep='')}', which `posec run` did not write; "
                "name another folder"
            )
    if os.path.lexists(manifest) and (manifest.is_symlink() or not manifest.is_file()):
        raise OutputError(f"'{shown}' holds a '{MANIFEST}' that is not a plain file; name another folder")
    return names


def locked(path: Path, shown: str) -> int:
    """Return the descriptor of a file locked for this process. Raises OutputError if it is taken."""
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
            # A network file system without locks: continue without.
        if has_name(lock, path):
            return lock
        os.close(lock)  # its owner removed it between the two calls


def describe_files(folder: Path) -> Dict[str, Dict[str, float]]:
    """Return name → size and time of the recorded files, for the manifest.

    The times are those of the files, which do not depend on a clock that is set back later.
    """
    found = {name: (folder / name).lstat() for name in possible_files(folder)}
    return {name: {"bytes": file.st_size, "modified_s": file.st_mtime} for name, file in found.items()}


def listed_files(content: bytes, ended_s: float) -> Optional[Dict[str, RecordedFile]]:
    """Return the files of a complete recording by name; None for an interrupted one.

    Manifests of earlier versions list sizes only; the time of the manifest, `ended_s`, is then that of all.
    """
    try:
        files = parse_json(content)["files"]
        return {
            str(name): RecordedFile(file["bytes"], file["modified_s"])
            if isinstance(file, dict)
            else RecordedFile(file, ended_s)
            for name, file in files.items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def changed_files(folder: Path, listed: Mapping[str, RecordedFile], names: List[str]) -> List[str]:
    """Return those of `names` that changed since the run: not listed, of another size, or written later."""
    return [name for name in sorted(names) if _has_changed((folder / name).lstat(), listed.get(name))]


def _has_changed(found: os.stat_result, listed: Optional[RecordedFile]) -> bool:
    return (
        listed is None
        or found.st_size != listed.size
        or not isinstance(listed.modified_s, (int, float))
        or found.st_mtime > listed.modified_s + CLOCK_S
    )


def keep_aside(folder: Path, names: List[str]) -> Optional[str]:
    """Move files to a new subfolder and return its path, or None if all were empty and are removed."""
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
    """Remove a file if possible."""
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
    """Raise OutputError if the source lies in the recording's folder: it would be replaced."""
    inside, around = Path(os.path.realpath(source)), Path(os.path.realpath(folder))
    if (
        os.path.lexists(source)
        and (inside == around or around in inside.parents)
        and (around / MANIFEST).exists()
    ):
        raise OutputError(
            f"the source lies in the output folder '{printable(folder, keep='')}'; name another folder"
        )
