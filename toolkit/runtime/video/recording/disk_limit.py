"""A limit on the disk space of a recording: the oldest finished files are removed first."""

from __future__ import annotations

import errno
import os
import re
from collections import deque
from pathlib import Path
from typing import Deque, List, Optional, Sequence, Tuple

from .line_file import ROTATED

CLIPS = re.compile(r"overlay(?:-(\d{1,9}))?\.mkv")
# Free space below which a clip ends: cv2 does not report a full disk.
LEAST_FREE_BYTES = 32 * 2**20


class DiskLimit:
    """The finished files of a recording, oldest first."""

    def __init__(self, most_bytes: Optional[int], earlier: Sequence[Path] = ()) -> None:
        self._most_bytes = most_bytes
        self._finished: Deque[Tuple[Path, int]] = deque((path, _size(path)) for path in earlier)
        self._total = sum(size for _, size in self._finished)

    def add(self, path: Path) -> None:
        """Add a finished file, which may be removed later."""
        self._finished.append((path, _size(path)))
        self._total += self._finished[-1][1]

    def keep(self, current_bytes: int) -> None:
        """Remove the oldest files while these and the current ones take more than the limit."""
        if self._most_bytes is None:
            return
        while self._finished and self._total + current_bytes > self._most_bytes:
            path, size = self._finished.popleft()
            self._total -= size
            _remove(path)


def oldest_first(folder: Path, names: Sequence[str]) -> List[Path]:
    """Return the rotated files among names in a folder, sorted by the time of their last change."""
    rotated = [folder / name for name in names if ROTATED.fullmatch(name) or CLIPS.fullmatch(name)]
    return sorted(rotated, key=lambda path: path.stat().st_mtime)


def check_free(folder: Path) -> None:
    """Raise OSError (ENOSPC) if a folder's disk has less than LEAST_FREE_BYTES left."""
    found = os.statvfs(str(folder))
    if found.f_bavail * found.f_frsize < LEAST_FREE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # the user moved it away
        return 0


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        pass
