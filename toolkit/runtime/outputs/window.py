"""The sink of `--show`: a window on a desktop."""

from __future__ import annotations

import os
import sys
from typing import Tuple

import cv2

from ..errors import PoseError
from ..skeleton import Skeleton
from ..video.draw import draw_people
from ..video.result import Result
from ..video.settings import Summary

TITLE = "posec"
LARGEST = (1600, 900)
_ESCAPE = 27
_INSTEAD = "use --web 8000 and open http://127.0.0.1:8000/"


class WindowError(PoseError):
    """A window that cannot be opened."""


class Window:
    """Shows each result until `q`, Esc or the window's own button ends the run.

    A still picture stays until a key is pressed.
    """

    def __init__(self, skeleton: Skeleton, *, inset: bool) -> None:
        """Open the window. Raises WindowError without a desktop, or with a cv2 that has no windows."""
        self._skeleton, self._inset, self._is_new = skeleton, inset, True
        is_linux = sys.platform.startswith("linux")
        if is_linux and not any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
            raise WindowError(f"--show needs a desktop, and this session has no display; {_INSTEAD}")
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error as error:
            raise WindowError(
                "--show needs a cv2 with windows, and this one is opencv-python-headless: pip uninstall "
                f"opencv-python-headless && pip install opencv-python; or {_INSTEAD}"
            ) from error

    def write(self, result: Result) -> None:
        """Show a result. Raises BrokenPipeError where the user has ended the run."""
        drawn = draw_people(
            result.frame.picture, result.people, self._skeleton, numbers=result.numbers, inset=self._inset
        )
        if self._is_new:
            cv2.resizeWindow(TITLE, *_fitting(drawn.shape[1], drawn.shape[0]))
            self._is_new = False
        cv2.imshow(TITLE, drawn)
        key = cv2.waitKey(0 if result.source.still else 1) & 0xFF
        if key in (_ESCAPE, ord("q")) or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
            raise BrokenPipeError

    def close(self, summary: Summary) -> None:
        """Close the window."""
        cv2.destroyAllWindows()


def _fitting(width: int, height: int) -> Tuple[int, int]:
    """Return the size of a window that fits on most screens."""
    scale = min(1.0, LARGEST[0] / width, LARGEST[1] / height)
    return max(1, round(scale * width)), max(1, round(scale * height))
