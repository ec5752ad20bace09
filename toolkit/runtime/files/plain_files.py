"""Plain files: files from outside are read within bounds, results are written atomically."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from pathlib import Path
from typing import BinaryIO, Iterator, List, Type, Union

from ..errors import PoseError

try:
    import fcntl
except ImportError:  # Windows has no advisory locks
    fcntl = None  # type: ignore[assignment]

PathLike = Union[str, "os.PathLike[str]"]
PART = ".part"
_ABANDONED_S = 60.0
_LONGEST_STEM = 200  # bytes; names have at most 255


class FileError(PoseError):
    """A file that is missing, not a plain file, or too large."""


@contextlib.contextmanager
def open_plain(
    path: PathLike, *, most_bytes: int, error: Type[ValueError] = FileError, advice: str = ""
) -> Iterator[BinaryIO]:
    """Open a plain file for reading; pipes, devices and folders are refused before they are read.

    Args:
        path: of the file; links are followed.
        most_bytes: the largest size accepted.
        error: the exception raised if the file is missing, not a plain file, too large, or unreadable.
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
def write_whole(path: PathLike, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a file for writing that takes its name when the block ends without an error.

    A missing parent folder is made. A block that raises leaves the old file and nothing else. Pipes and
    devices, such as /dev/stdout, are written to directly.

    If `durable`, the bytes reach the disk before the name does: a power cut leaves the old file or the new
    one. False is for one of many files, which would else wait for the disk one after the other.

    Raises OSError if the file cannot be written.
    """
    where = Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            with open(path, "wb") as device:
                yield device
            return
    make_folder(where.parent)
    if durable:
        _remove_abandoned(where)
    beside = part_of(where)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with _errors_of(path, beside), open(os.open(beside, flags, 0o666), "wb") as file:
        try:
            take_lock(file.fileno())
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
            with contextlib.suppress(OSError):
                os.chmod(beside, stat.S_IMODE(os.stat(where).st_mode))
            os.replace(beside, where)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise
    if durable:
        sync_folder(where.parent)


@contextlib.contextmanager
def _errors_of(path: PathLike, part: Path) -> Iterator[None]:
    """Name `path` in errors that name its partial file, or none as those of a full disk."""
    try:
        yield
    except OSError as error:
        if error.filename in (None, part, str(part)):
            error.filename = os.fspath(path)
        raise


def write_plain(path: PathLike, content: Union[bytes, str], *, durable: bool = True) -> None:
    """Write bytes, or text as UTF-8, atomically; see `write_whole`."""
    with write_whole(path, durable=durable) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def _check_plain(
    found: os.stat_result, path: PathLike, *, most_bytes: int, error: Type[ValueError], end: str
) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise error(f"cannot read '{path}': it is {kind}, not a plain file{end}")
    if found.st_size > most_bytes:
        raise error(f"'{path}' has {found.st_size} bytes, more than the {most_bytes} allowed{end}")


def make_folder(folder: Path) -> None:
    """Make a folder and its parents. Raises NotADirectoryError if a file has one of their names."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (
        FileExistsError
    ) as error:  # a file in the place of a folder, which write_folder would take for a folder that is taken
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error


def _shortened(name: str) -> str:
    """Return a name shortened to leave room for a suffix; systems limit its bytes, not its characters."""
    return os.fsencode(name)[:_LONGEST_STEM].decode("utf-8", "ignore")


def part_of(path: Path) -> Path:
    """Return a new name beside `path` for a file that is renamed to it later."""
    return path.with_name(f".{_shortened(path.name)}.{os.urandom(4).hex()}{PART}")


def parts_of(path: Path) -> List[Path]:
    """Return the partial files of `path`, of running and dead writers."""
    name = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in _shortened(path.name))
    return sorted(path.parent.glob(f".{name}.*{PART}"))


def _remove_abandoned(path: Path) -> None:
    """Remove partial files of `path` left by dead processes.

    A running writer holds the lock of its file.
    """
    for left in parts_of(path):
        with contextlib.suppress(OSError):
            found = os.stat(left)
            # A new writer may not hold the lock of its file yet.
            if stat.S_ISREG(found.st_mode) and time.time() - found.st_mtime > _ABANDONED_S:
                with open(left, "rb") as file:
                    if take_lock(file.fileno()):
                        os.unlink(left)


def take_lock(descriptor: int, wait: bool = False) -> bool:
    """Take the advisory lock of an open file or folder.

    Returns False if another process holds it, or there are no locks.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, if the file system supports it."""
    with contextlib.suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
