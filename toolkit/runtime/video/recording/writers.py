"""The recording of a run: a folder locked for one process, with JSON lines and overlays."""

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
from ..settings import RecordingSettings
from .clip import Clip
from .disk_limit import DiskLimit, oldest_first
from .line_file import LINES, LineFile, cut_half_line, has_name, keep_lines
from .output_error import OutputError
from .recording_folder import (
    LARGEST_MANIFEST,
    MAGIC,
    MANIFEST,
    changed_files,
    describe_files,
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

    `people.jsonl` grows by whole lines. `recording.json` is locked until `close`, which lists the written
    files in it. A later run replaces only listed files. A recording without the list was interrupted; a later
    run moves it to `interrupted-001`. A rotated recording is continued instead: its files keep their names.

    Attributes:
        folder: absolute path.
        pictures: number of lines so far.
    """

    def __init__(self, folder: str, settings: RecordingSettings, report: Report = say) -> None:
        """Lock a folder, created if missing; an earlier recording stays until the first line is written.

        Raises OutputError if the folder cannot be written, holds other files than recordings, is locked by
        another process, or holds a recording that is neither overwritten nor continued.
        """
        if not str(folder) or "\0" in str(folder):
            raise OutputError(
                "the output folder is empty or has a zero byte; name a folder, '.' for this one"
            )
        self.folder, self.pictures = Path(os.path.abspath(str(folder))), 0
        self.shown = printable(str(folder), keep="")
        self._made = not self.folder.exists()
        self._settings = settings
        self._names: Dict[str, str] = {}
        self._synced = time.monotonic()
        self._clip: Optional[Clip] = None
        if self.folder.exists() and not self.folder.is_dir():
            raise OutputError(f"'{self.shown}' is a file; name a folder")
        recorded_files(self.folder, self.shown)  # refuse before anything is written
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = locked(self.folder / MANIFEST, self.shown)
        except OSError as error:
            raise OutputError(f"cannot write to '{self.shown}': {error.strerror}") from error
        was_there = os.fstat(self._lock).st_size > 0
        try:
            self._replaced = self._take_over(recorded_files(self.folder, self.shown), report)
        except BaseException:
            self._give_back(keep=was_there)
            os.close(self._lock)
            raise
        continued = possible_files(self.folder) if settings.rotates else []
        self._is_continued = bool(continued)
        self._disk = DiskLimit(settings.most_bytes, oldest_first(self.folder, continued))
        self._lines = LineFile(
            self.folder, settings.file_limits, durable=settings.fsync, finished=self._disk.add
        )

    def _take_over(self, earlier: List[str], report: Report) -> List[str]:
        """Move an interrupted recording aside; return the files of a complete one, to be replaced."""
        content = os.pread(self._lock, LARGEST_MANIFEST, 0)
        if content.strip(b"\0") and not content.startswith(MAGIC):
            raise OutputError(
                f"'{self.shown}' holds a '{MANIFEST}' that `posec run` did not write; name another folder"
            )
        if self._settings.rotates and LINES in earlier:
            cut_half_line(self.folder / LINES)
            keep_lines(self.folder)
        if self._settings.rotates or not earlier:
            self._begin()
            return []
        listed = listed_files(content, os.fstat(self._lock).st_mtime)
        if listed is None:
            aside = keep_aside(self.folder, earlier)
            if aside:
                report(f"an earlier recording in '{self.shown}' was cut off; its files are kept in '{aside}'")
            self._begin()
            return []
        changed = changed_files(self.folder, listed, earlier)
        if changed:
            raise OutputError(
                f"'{self.shown}' holds '{printable(changed[0], keep='')}', which `posec run` did not write; "
                "name another folder"
            )
        if not self._settings.overwrite:
            raise OutputError(
                f"a recording is there already in '{self.shown}'; name another folder, or pass --overwrite"
            )
        return [name for name in earlier if name in listed]

    def _begin(self) -> None:
        self._describe({"files": None})

    def _describe(self, plain: Mapping[str, Any]) -> None:
        """Replace the content of the locked manifest; MAGIC identifies it even if it is cut off."""
        content = MAGIC + json.dumps({"process": os.getpid(), **plain}, indent=1)[1:].encode()
        os.pwrite(self._lock, content, 0)
        os.ftruncate(self._lock, len(content))
        os.fsync(self._lock)

    def _give_back(self, keep: bool) -> None:
        """Release a folder without new files; `keep` the manifest of an earlier recording."""
        if not keep:
            remove(self.folder / MANIFEST)
        if self._made:
            remove_folder(self.folder)

    @property
    def is_in_place(self) -> bool:
        """Whether all open files still have their names."""
        clip_is = self._clip is None or self._clip.is_in_place
        return clip_is and self._lines.is_in_place and has_name(self._lock, self.folder / MANIFEST)

    def _check_in_place(self) -> None:
        if not self.is_in_place:
            raise OutputError(
                f"the recording in '{self.shown}' was removed or moved while it was written; start again, "
                "with --rotate if finished files shall be moved away"
            )

    def write_line(self, line: str) -> None:
        """Append one line atomically.

        Raises OutputError if it cannot be written, or if the recording was removed or moved.
        """
        self._check_in_place()
        try:
            if not self._lines.is_open and not self.pictures:
                for name in self._replaced:
                    (self.folder / name).unlink()
                self._begin()
            clip_bytes = self._clip.size if self._clip is not None else 0
            self._disk.keep(self._lines.size + clip_bytes + len(line))
            self._lines.write(line)
            self.pictures += 1
            if time.monotonic() - self._synced > _SYNC_EVERY_S:
                self._sync()
        except OSError as error:
            raise self.failed(error) from error

    def _sync(self) -> None:
        """Flush the files to the disk."""
        self._synced = time.monotonic()
        self._lines.sync()
        if self._clip is not None:
            self._clip.sync()

    def write_still(self, name: str, picture: np.ndarray) -> None:
        """Write the overlay of picture `name` as a JPEG of that name. Raises OutputError if that fails."""
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
        """Append a frame to the clip; see `clip.Clip`. Raises OutputError if that fails."""
        try:
            if self._clip is None:
                limits = self._settings.file_limits
                self._clip = Clip(self.folder, rate, live, rotation=limits, finished=self._disk.add)
            self._clip.write(picture, seconds)
        except OSError as error:
            raise self.failed(error) from error

    def failed(self, error: OSError) -> OutputError:
        """Return the error of a file that could not be written."""
        reason = "the disk is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else error.strerror
        return OutputError(f"cannot write to '{self.shown}': {reason}")

    def close(self, summary: Mapping[str, Any]) -> List[str]:
        """Finish the clip, list the written files and release the folder; return their paths.

        An empty recording leaves no files. Raises OutputError as `write_line` does.
        """
        try:
            if not self.pictures:
                self._give_back(keep=bool(self._replaced) or self._is_continued)
                return []
            self._check_in_place()
            try:
                if self._clip is not None:
                    self._clip.close()
            finally:
                written = self._finish(summary)
            return written
        except OSError as error:  # the next run moves a recording without a list aside as interrupted
            raise self.failed(error) from error
        finally:
            self._lines.close()
            os.close(self._lock)

    def _finish(self, summary: Mapping[str, Any]) -> List[str]:
        self._lines.sync()
        files = describe_files(self.folder)
        self._describe({**summary, "files": files})
        return sorted(str(self.folder / name) for name in files)
