"""The lines of a recording: a file that grows by whole lines, and is renamed when it is rotated."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Callable, Optional

from ...command.amounts import Rotation

LINES = "people.jsonl"
ROTATED = re.compile(r"people-(\d{6,9})\.jsonl")
_BLOCK = 2**16


class LineFile:
    """`people.jsonl`, and `people-000001.jsonl` … for its rotated parts.

    Every file holds whole lines. A reader such as `tail -F` follows the rotation by the name.
    """

    def __init__(
        self, folder: Path, rotation: Rotation, *, durable: bool, finished: Callable[[Path], None]
    ) -> None:
        """Write to a folder; parts left by earlier runs keep their numbers.

        Args:
            folder: of the recording.
            rotation: when the file is rotated.
            durable: flush every line to the disk.
            finished: called with each rotated file.
        """
        self._folder, self._rotation, self._durable = folder, rotation, durable
        self._finished = finished
        self._file: Optional[int] = None
        self._size, self._started = 0, 0.0

    @property
    def is_open(self) -> bool:
        """Whether a line was written."""
        return self._file is not None

    @property
    def is_in_place(self) -> bool:
        """Whether an open file still has its name."""
        return self._file is None or has_name(self._file, self._folder / LINES)

    @property
    def size(self) -> int:
        """Bytes of the current file."""
        return self._size

    def write(self, line: str) -> None:
        """Append a line. Raises OSError if it cannot be written; the file then ends with the line before."""
        if self._file is not None and self._is_due(len(line)):
            self.rotate()
        if self._file is None:
            self._open()
        content, file, written = line.encode(), self._file, 0
        assert file is not None
        try:
            while written < len(content):
                written += os.write(file, content[written:])
            if self._durable:
                os.fsync(file)
        except OSError:
            os.ftruncate(file, self._size)
            raise
        self._size += len(content)

    def _is_due(self, coming: int) -> bool:
        most_bytes, most_s = self._rotation
        return bool(self._size) and (
            (most_bytes is not None and self._size + coming > most_bytes)
            or (most_s is not None and time.monotonic() - self._started >= most_s)
        )

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        self._file = os.open(str(self._folder / LINES), flags, 0o644)
        self._size, self._started = 0, time.monotonic()

    def rotate(self) -> None:
        """Close the file and give it the next number."""
        self.sync()
        self.close()
        self._size = 0
        self._finished(keep_lines(self._folder))

    def sync(self) -> None:
        """Flush the file to the disk."""
        if self._file is not None:
            os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
        self._file = None


def has_name(file: int, path: Path) -> bool:
    """Return whether an open file is the one at a path: neither removed, moved nor replaced."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(str(path)))
    except (FileNotFoundError, NotADirectoryError):
        return False


def keep_lines(folder: Path) -> Path:
    """Rename `people.jsonl` to the next free number and return its path."""
    numbers = [int(found.group(1)) for found in map(ROTATED.fullmatch, os.listdir(folder)) if found]
    part = folder / f"people-{1 + max(numbers, default=0):06d}.jsonl"
    os.rename(folder / LINES, part)
    return part


def cut_half_line(path: Path) -> None:
    """Remove an incomplete last line of a file, which a power cut may leave."""
    with open(path, "r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - _BLOCK)
            file.seek(start)
            last = file.read(end - start).rfind(b"\n")
            if last >= 0:
                end = start + last + 1
                break
            end = start
        file.truncate(end)
