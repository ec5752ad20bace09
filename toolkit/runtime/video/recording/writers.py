"""What a run records: a folder that one process writes, whole JSON lines, and clips that survive a power cut."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

import numpy as np

from ...console import Report, printable, say
from ...files.pictures import write_picture
from .clip import Clip
from .recording_folder import (
    LARGEST_MANIFEST,
    LINES,
    MAGIC,
    MANIFEST,
    OutputError,
    changed_files,
    keep_aside,
    listed_files,
    locked,
    possible_files,
    recorded_files,
    remove,
    remove_folder,
)

_SYNC_EVERY_S = 5.0


class Recording:
    """A folder of results that belongs to this process until `close`.

    `people.jsonl` grows by whole lines. `recording.json` is locked meanwhile, and lists in the end what was written, so that a later
    run replaces that and nothing else. Without the list the recording was cut off: a later run keeps it in `interrupted-001`.

    Attributes:
        folder: absolute path.
        pictures: lines so far.
    """

    def __init__(self, folder: str, overwrite: bool = False, report: Report = say) -> None:
        """Claim a folder, made where it is missing; an earlier recording stays until the first line is written.

        Raises OutputError where the folder cannot be written, holds anything that no run recorded, belongs to another process, or
        holds a recording and `overwrite` is False.
        """
        if not str(folder) or "\0" in str(folder):
            raise OutputError(
                "the output folder is empty or has a zero byte; name a folder, '.' for this one"
            )
        self.folder, self.pictures = Path(os.path.abspath(str(folder))), 0
        self.shown = printable(str(folder), keep="")
        self._made = not self.folder.exists()
        self._names: Dict[str, str] = {}
        self._lines: Optional[int] = None
        self._size, self._synced = 0, time.monotonic()
        self._clip: Optional[Clip] = None
        if self.folder.exists() and not self.folder.is_dir():
            raise OutputError(f"'{self.shown}' is a file; name a folder")
        recorded_files(self.folder, self.shown)  # refused before anything is written
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = locked(self.folder / MANIFEST, self.shown)
        except OSError as error:
            raise OutputError(f"cannot write to '{self.shown}': {error.strerror}") from error
        was_there = os.fstat(self._lock).st_size > 0
        try:
            self._replaced = self._take_over(recorded_files(self.folder, self.shown), overwrite, report)
        except BaseException:
            self._give_back(keep=was_there)
            raise

    def _take_over(self, earlier: List[str], overwrite: bool, report: Report) -> List[str]:
        """Keep an interrupted recording aside; return the files of a finished one, to be removed at the first line."""
        content = os.pread(self._lock, LARGEST_MANIFEST, 0)
        if content.strip(b"\0") and not content.startswith(MAGIC):
            raise OutputError(
                f"'{self.shown}' holds a '{MANIFEST}' that `posec run` did not write; name another folder"
            )
        listed = listed_files(content)
        if not earlier:
            self._begin()
            return []
        if listed is None:
            aside = keep_aside(self.folder, earlier)
            if aside:
                report(f"an earlier recording in '{self.shown}' was cut off; its files are kept in '{aside}'")
            self._begin()
            return []
        changed = changed_files(self.folder, listed, earlier)
        if changed:
            raise OutputError(
                f"'{self.shown}' holds '{printable(changed[0], keep='')}', which `posec run` did not write; name another folder"
            )
        if not overwrite:
            raise OutputError(
                f"a recording is there already in '{self.shown}'; name another folder, or pass --overwrite"
            )
        return [name for name in earlier if name in listed]

    def _begin(self) -> None:
        self._describe({"files": None})

    def _describe(self, plain: Mapping[str, Any]) -> None:
        """Replace the manifest; it stays the same file, which is locked. One that is cut off is recognized by its first bytes."""
        content = MAGIC + json.dumps({"process": os.getpid(), **plain}, indent=1)[1:].encode()
        os.pwrite(self._lock, content, 0)
        os.ftruncate(self._lock, len(content))
        os.fsync(self._lock)

    def _give_back(self, keep: bool) -> None:
        """Release a folder in which nothing was recorded; `keep` its manifest where that describes an earlier recording."""
        if not keep:
            remove(self.folder / MANIFEST)
        os.close(self._lock)
        if self._made:
            remove_folder(self.folder)

    def write_line(self, line: str) -> None:
        """Append one line, whole or not at all. Raises OutputError where it cannot be written."""
        if self._lines is None:
            for name in self._replaced:
                (self.folder / name).unlink()
            self._begin()
            self._lines = os.open(
                str(self.folder / LINES), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644
            )
        content = line.encode()
        try:
            written = 0
            while written < len(content):
                written += os.write(self._lines, content[written:])
        except OSError as error:
            os.ftruncate(self._lines, self._size)
            raise self.failed(error) from error
        self._size += len(content)
        self.pictures += 1
        if time.monotonic() - self._synced > _SYNC_EVERY_S:
            self._synced = time.monotonic()
            os.fsync(self._lines)
            if self._clip is not None:
                self._clip.sync()

    def write_still(self, name: str, picture: np.ndarray) -> None:
        """Write the overlay of the picture file `name` as a JPEG of the same name. Raises OutputError where it cannot be written."""
        overlay = Path(name).stem + ".jpg"
        if overlay.lower() in self._names:  # a.png beside a.jpg
            overlay = name + ".jpg"
        while overlay.lower() in self._names:
            overlay = f"{Path(overlay).stem}_.jpg"
        self._names[overlay.lower()] = overlay
        try:
            write_picture(self.folder / overlay, picture)
        except OSError as error:
            raise self.failed(error) from error

    def write_frame(self, picture: np.ndarray, seconds: float, *, rate: Optional[float], live: bool) -> None:
        """Append a frame to the clip; see `clip.Clip`."""
        if self._clip is None:
            self._clip = Clip(self.folder, rate, live)
        self._clip.write(picture, seconds)

    def failed(self, error: OSError) -> OutputError:
        """Return the error of a file that could not be written."""
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        return OutputError(f"cannot write to '{self.shown}': {reason}")

    def close(self, summary: Mapping[str, Any]) -> List[str]:
        """Finish the clip, list what was written, and give the folder free; returns the paths written. An empty recording leaves nothing."""
        try:
            if self._clip is not None:
                self._clip.close()
        finally:
            written = self._finish(summary)
        return written

    def _finish(self, summary: Mapping[str, Any]) -> List[str]:
        if self._lines is None:
            self._give_back(keep=bool(self._replaced))
            return []
        os.fsync(self._lines)
        os.close(self._lines)
        files = {name: (self.folder / name).lstat().st_size for name in possible_files(self.folder)}
        try:
            self._describe({**summary, "files": files})
        except OSError as error:  # it counts as cut off, and is kept by the next run
            raise self.failed(error) from error
        finally:
            os.close(self._lock)
        return sorted(str(self.folder / name) for name in files)
