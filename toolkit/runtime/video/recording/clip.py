"""Write a clip with the times of its source, in a container that stays readable after a power cut."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, List, Optional, Tuple

import cv2
import numpy as np

from ...command.amounts import Rotation
from .disk_limit import CLIPS, check_free
from .output_error import OutputError

CLIP = "overlay.mkv"
# For a single frame, and for frames without times.
DEFAULT_FPS = 15.0
SLOWEST_FPS, FASTEST_FPS = 1.0, 120.0
# Number of first frames that determine the rate.
RATED = 8
# The container's rate is used if that of the first frames differs by less than this part.
NEAR = 0.05
# A longer pause starts the next clip, as does a change of the picture size.
CAMERA_PAUSE_S, FILE_PAUSE_S = 10.0, 600.0
# SD cards are often FAT32, which limits files to 4 GB.
LARGEST_BYTES = 3 * 2**30
# MPEG-4 takes frames of these sides; larger ones are reduced, smaller ones repeated.
LEAST_SIDE_PX, LARGEST_SIDE_PX = 2, 8190
_MEASURED_EVERY = 256
_NEVER = Rotation()


class Clip:
    """A clip at a constant rate; frames are repeated or omitted to keep the times of the source.

    The rate is the container's if the first frames agree with it.
    Otherwise it follows from the shortest step between them (at least a quarter of the median), or from the
    median step of a camera.
    """

    def __init__(
        self,
        folder: Path,
        rate: Optional[float],
        live: bool,
        *,
        rotation: Rotation = _NEVER,
        finished: Callable[[Path], None] = lambda path: None,
    ) -> None:
        """Write `overlay.mkv` in a folder, then `overlay-2.mkv` …; clips of earlier runs keep their numbers.

        Args:
            folder: of the recording.
            rate: frames per second of the source, or None.
            live: True for a camera.
            rotation: when a clip ends and the next one begins.
            finished: called with each clip that has ended.
        """
        self._folder, self._stated, self._live = folder, rate, live
        self._pause_s = CAMERA_PAUSE_S if live else FILE_PAUSE_S
        self._most_bytes = min(rotation.most_bytes or LARGEST_BYTES, LARGEST_BYTES)
        self._most_s, self._finished = rotation.most_s, finished
        found = [CLIPS.fullmatch(name) for name in os.listdir(folder)]
        self._number = max((int(clip.group(1) or 1) for clip in found if clip), default=0)
        self._path = folder / CLIP
        self._writer: Any = None
        self._waiting: List[Tuple[np.ndarray, float]] = []
        self._fps, self._start_s, self._slots, self._measured = DEFAULT_FPS, 0.0, 0, 0
        self._last: Optional[Tuple[np.ndarray, float]] = None

    def write(self, picture: np.ndarray, seconds: float) -> None:
        """Append a picture (H, W, 3) uint8 BGR with its time. Raises OutputError or OSError if that fails."""
        picture = _encodable(picture)
        last = self._waiting[-1] if self._waiting else self._last
        if last is not None and (last[0].shape != picture.shape or seconds - last[1] > self._pause_s):
            self.close()
        if self._writer is not None and self._most_s is not None and seconds - self._start_s > self._most_s:
            self.close()
        if self._writer is not None:
            self._place(picture, seconds)
            return
        self._waiting.append((picture, seconds))
        if len(self._waiting) == RATED:
            self._open()

    def _place(self, picture: np.ndarray, seconds: float) -> None:
        """Show the last picture until `seconds`, then this one."""
        slot = round((seconds - self._start_s) * self._fps)
        while self._last is not None and self._slots < slot:
            self._writer.write(self._last[0])
            self._slots += 1
        if slot == self._slots:
            self._writer.write(picture)
            self._slots += 1
        self._last = (picture, seconds)
        if self._slots // _MEASURED_EVERY > self._measured:
            self._measured = self._slots // _MEASURED_EVERY
            check_free(self._folder)
            if self.size > self._most_bytes:
                self.close()

    @property
    def is_in_place(self) -> bool:
        """Whether the current clip still has its name."""
        return self._writer is None or self._path.exists()

    @property
    def size(self) -> int:
        """Bytes of the current clip on the disk."""
        return os.path.getsize(str(self._path)) if self._writer is not None else 0

    def _open(self) -> None:
        check_free(self._folder)
        number = self._number + 1
        self._path = self._folder / (CLIP if number == 1 else CLIP.replace(".", f"-{number}."))
        self._fps = _rate([seconds for _, seconds in self._waiting], self._stated, self._live)
        height, width = self._waiting[0][0].shape[:2]
        self._writer = _open_writer(self._path, self._fps, (width, height))
        self._number = number  # an interrupted opening is repeated under the same name
        waiting, self._waiting = self._waiting, []
        self._start_s, self._slots, self._measured, self._last = waiting[0][1], 0, 0, None
        for picture, seconds in waiting:
            self._place(picture, seconds)

    def sync(self) -> None:
        """Flush the file to the disk."""
        if self._writer is not None:
            with open(self._path, "rb") as file:
                os.fsync(file.fileno())

    def close(self) -> None:
        """Finish the clip; a later picture starts the next one."""
        if self._writer is None and self._waiting:
            self._open()
        if self._writer is not None:
            self._writer.release()
            self._writer, self._last = None, None
            self._finished(self._path)


def _encodable(picture: np.ndarray) -> np.ndarray:
    """Return a picture (H, W, 3) with sides that MPEG-4 takes."""
    height, width = picture.shape[:2]
    times = -(-max(height, width) // LARGEST_SIDE_PX)
    size = max(LEAST_SIDE_PX, width // times), max(LEAST_SIDE_PX, height // times)
    if size == (width, height):
        return picture
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def _open_writer(path: Path, fps: float, size: Tuple[int, int]) -> Any:
    """Return an opened cv2.VideoWriter for frames of (width, height). Raises OutputError if that fails."""
    folder = os.open(str(path.parent), os.O_RDONLY)
    try:
        os.fsencode(path).decode("utf-8")
        name = str(path)
    except UnicodeDecodeError:  # cv2 takes UTF-8 names only
        name = f"/proc/self/fd/{folder}/{path.name}"
    try:
        writer = cv2.VideoWriter(name, cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), fps, size)
    finally:
        os.close(folder)
    if not writer.isOpened():
        raise OutputError(
            "this cv2 cannot write clips (MPEG-4 in Matroska), or the disk is full; pass --no-overlay"
        )
    return writer


def _rate(seconds: List[float], stated: Optional[float], live: bool) -> float:
    """Return frames per second from the times of the first frames, with two decimals.

    The encoder takes numerators below 65536: a rate above 65.5 with three decimals would be refused.
    """
    return round(min(max(_measured_rate(seconds, stated, live), SLOWEST_FPS), FASTEST_FPS), 2)


def _measured_rate(seconds: List[float], stated: Optional[float], live: bool) -> float:
    steps = np.diff(seconds)
    steps = steps[steps > 0]
    if not len(steps):
        return stated or DEFAULT_FPS
    step = float(np.median(steps))
    if not live and (stated is None or abs(step * stated - 1) > NEAR):
        step = max(float(steps.min()), step / 4)
    elif stated is not None:
        step = 1 / stated
    return 1 / step
