"""What a camera shows now, where it sends whether or not anybody looks.

A camera in the network sends on while people are looked for. Read one after the other, its pictures queue up, and a board that is
slower than the camera falls behind it, farther with every picture. So a thread reads them all, and the newest is kept.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Generator, List, Tuple

import numpy as np

# A read that hangs, because the camera does, is not waited for longer when the looking ends.
PATIENCE_S = 2.0

Taken = Tuple[np.ndarray, float]


def newest(capture: Any) -> Generator[Taken, None, None]:
    """Yield the newest picture each time, and the time.monotonic() at which it came; each once at most, the last for certain.

    Args:
        capture: an opened cv2.VideoCapture. It is read in a thread, and released when it has no more or the iterator is closed.
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

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: came or ended.is_set())
                if not came:
                    break
                taken = came.pop()
            yield taken
    finally:
        closed.set()
        reader.join(PATIENCE_S)
