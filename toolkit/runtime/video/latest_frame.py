"""The newest picture of a camera that sends whether or not a picture is asked for.

Read one after the other, the pictures of a network camera queue up, and a board slower than the camera falls ever farther behind.
So a thread reads all pictures, and the newest is kept.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Generator, List, Tuple

import cv2
import numpy as np

# A hanging read is not waited for any longer once the caller is done.
PATIENCE_S = 2.0
# A camera without a new picture for so long has gone.
HANGING_AFTER_S = 10.0

Taken = Tuple[np.ndarray, float]


def newest(capture: Any, hanging_after_s: float = HANGING_AFTER_S) -> Generator[Taken, None, None]:
    """Yield the newest picture each time with the time.monotonic() of its arrival; none twice, and always the last one.

    Args:
        capture: an opened cv2.VideoCapture. A thread reads it, and releases it at its end or when the iterator is closed.
        hanging_after_s: end after so many seconds without a new picture.
    """
    came: List[Taken] = []
    changed, ended, closed = threading.Condition(), threading.Event(), threading.Event()

    def read() -> None:
        try:
            while not closed.is_set():
                is_read, picture = capture.read()
                if not is_read:
                    break
                with changed:
                    came[:] = [(picture, time.monotonic())]
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
