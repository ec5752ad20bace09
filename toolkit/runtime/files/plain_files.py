"""Plain files within bounds: open files from outside, and write results whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import time
from pathlib import Path
from typing import BinaryIO, Iterator, List, Mapping, Optional, Type, Union

from ..errors import PoseError

try:
    import fcntl
except ImportError:  # Windows has no advisory locks
    fcntl = None  # type: ignore[assignment]

PathLike = Union[str, "os.PathLike[str]"]
_PART, _OLD_PART = ".part", ".old.part"
_ABANDONED_S = 60.0


class FileError(PoseError):
    """A file that is missing, no plain file, or too large."""


@contextlib.contextmanager
def open_plain(
    path: PathLike, *, most_bytes: int, error: Type[ValueError] = FileError, advice: str = ""
) -> Iterator[BinaryIO]:
    """Open a plain file for reading; pipes, devices and folders are refused before they are read.

    Args:
        path: of the file; links are followed.
        most_bytes: the largest size accepted.
        error: the exception raised where the file is missing, no plain file, too large, or unreadable.
        advice: what to do next; ends the error's sentence.
    """
    end = f"; {advice}" if advice else ""
    if "\0" in str(path):
        raise error(f"cannot read {str(path)!r}: a path has no null character{end}")
    try:
        _check_plain(os.stat(path), path, most_bytes=most_bytes, error=error, end=end)
        # The file may be replaced between the two checks; opening a pipe without O_NONBLOCK would wait.
        with open(
            os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)), "rb"
        ) as file:
            _check_plain(os.fstat(file.fileno()), path, most_bytes=most_bytes, error=error, end=end)
            yield file
    except OSError as cause:
        raise error(f"cannot read '{path}': {(cause.strerror or str(cause)).lower()}{end}") from cause


def read_plain(
    path: PathLike, *, most_bytes: int, error: Type[ValueError] = FileError, advice: str = ""
) -> bytes:
    """Return the bytes of a plain file of at most `most_bytes`; arguments and errors as `open_plain`."""
    with open_plain(path, most_bytes=most_bytes, error=error, advice=advice) as file:
        return file.read(os.fstat(file.fileno()).st_size)


@contextlib.contextmanager
def write_whole(path: PathLike) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name when the block ends without an error.

    A missing parent folder is made.

    The bytes reach the disk before the name does, so a power cut leaves the old file or the new one. A block
    that raises leaves the old file and nothing else. Pipes and devices, such as /dev/stdout, are written to
    directly.

    Raises OSError where the file cannot be written.
    """
    where = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            with open(path, "wb") as device:
                yield device
            return
    _make_folder(where.parent)
    _remove_abandoned(where)
    beside = where.with_name(f".{where.name[:200]}.{os.urandom(4).hex()}{_PART}")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
        try:
            _lock(file.fileno())
            yield file
            file.flush()
            os.fsync(file.fileno())
            with contextlib.suppress(OSError):
                os.chmod(beside, stat.S_IMODE(os.stat(where).st_mode))
            os.replace(beside, where)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
    _sync_folder(where.parent)


def write_plain(path: PathLike, content: Union[bytes, str]) -> None:
    """Write bytes, or text as UTF-8, whole or not at all; see `write_whole`."""
    with write_whole(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def write_folder(folder: Path, files: Mapping[str, bytes], *, replaces: Optional[str] = None) -> None:
    """Write a folder of files whole or not at all.

    Args:
        folder: where; its parents are made. A folder that is there must be empty, or hold the file
            `replaces`.
        files: relative path → bytes.
        replaces: name of the file by which a folder that may be replaced is recognized; None replaces none.

    Raises FileExistsError where the folder holds something else, and OSError where it cannot be written; both
    leave it as it was.
    """
    _make_folder(folder.parent)
    part = folder.with_name(f".{folder.name[:200]}.{os.urandom(4).hex()}{_PART}")
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
        _sync_folder(folder.parent)


def _exchange(part: Path, folder: Path) -> None:
    """Give `part` the name `folder`, and the folder that had it the name of `part`."""
    if _is_free(folder):
        os.rename(part, folder)
        return
    aside = part.with_name(f"{part.name[: -len(_PART)]}{_OLD_PART}")
    os.rename(folder, aside)
    try:
        os.rename(part, folder)
    except BaseException:
        os.rename(aside, folder)
        raise
    os.rename(aside, part)


def _is_free(folder: Path) -> bool:
    return not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir()))


def _check_plain(
    found: os.stat_result, path: PathLike, *, most_bytes: int, error: Type[ValueError], end: str
) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise error(f"cannot read '{path}': it is {kind}, not a plain file{end}")
    if found.st_size > most_bytes:
        raise error(f"'{path}' has {found.st_size} bytes, more than the {most_bytes} allowed{end}")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (
        FileExistsError
    ) as error:  # a file in the place of a folder, which write_folder would take for a folder that is taken
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error


def _parts(path: Path) -> List[Path]:
    """Return what writers of `path`, living or dead, have beside it."""
    name = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path.name[:200])
    return sorted(path.parent.glob(f".{name}.*{_PART}"))


def _remove_abandoned(path: Path) -> None:
    """Remove what processes that died while they wrote `path` left beside it.

    A living writer holds the lock of its file.
    """
    for left in _parts(path):
        with contextlib.suppress(OSError):
            found = os.stat(left)
            # A writer that has just made its file does not hold its lock yet.
            if stat.S_ISREG(found.st_mode) and time.time() - found.st_mtime > _ABANDONED_S:
                with open(left, "rb") as file:
                    if _lock(file.fileno()):
                        os.unlink(left)


def _restore_abandoned(folder: Path) -> None:
    """Undo what a process that died while it wrote a folder had done.

    The lock of the parent folder must be held.
    """
    for left in _parts(folder):
        if left.name.endswith(_OLD_PART) and not os.path.lexists(folder):
            os.rename(left, folder)
        else:
            shutil.rmtree(left, ignore_errors=True)


def _lock(descriptor: int, wait: bool = False) -> bool:
    """Take the advisory lock of an open file or folder.

    Returns False where another process holds it, or there are no locks.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


@contextlib.contextmanager
def _locked_folder(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder while one of its folders is replaced; yields whether there are locks."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield _lock(descriptor, wait=True)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
