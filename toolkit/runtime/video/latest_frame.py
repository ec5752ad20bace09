"""The latest frame of a camera that sends at its own rate.

Frames of a network camera queue up, so a board slower than the camera would fall behind.
Therefore a thread reads all frames and keeps the latest.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Generator, List, NamedTuple

import cv2
import numpy as np

# Longest wait for a hanging read when the iterator is closed.
PATIENCE_S = 2.0
# A camera without a new frame for so long has stopped sending.
HANGING_AFTER_S = 10.0
# A damaged picture fails one read; a camera that has gone fails all.
MOST_FAILED_READS = 5
FAILED_READ_PAUSE_S = 0.05


class TimedPicture(NamedTuple):
    """A picture (H, W, 3) uint8 BGR, its arrival by time.monotonic(), and how many were left out before."""

    picture: np.ndarray
    came: float
    dropped: int = 0


def latest_frames(
    capture: Any, hanging_after_s: float = HANGING_AFTER_S
) -> Generator[TimedPicture, None, None]:
    """Yield the latest frame, with its time; each at most once, the last always.

    Args:
        capture: an opened cv2.VideoCapture; a thread reads it and releases it at the end.
        hanging_after_s: seconds without a new frame after which the iterator ends.
    """
    came: List[TimedPicture] = []
    changed, ended, closed = threading.Condition(), threading.Event(), threading.Event()

    def read() -> None:
        try:
            failed = 0
            while not closed.is_set():
                is_read, picture = capture.read()
                if not is_read:
                    failed += 1
                    if failed > MOST_FAILED_READS:
                        break
                    closed.wait(FAILED_READ_PAUSE_S)
                    continue
                failed = 0
                with changed:
                    dropped = came[0].dropped + 1 if came else 0
                    came[:] = [TimedPicture(picture, time.monotonic(), dropped)]
                    changed.notify()
        finally:
            capture.release()
            with changed:
                ended.set()
                changed.notify()

    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: came or ended.is_set(), timeout=hanging_after_s)
                if not came:
                    break
                taken = came.pop()
            yield taken
    finally:
        closed.set()
        reader.join(PATIENCE_S)
