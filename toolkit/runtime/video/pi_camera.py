"""A Raspberry Pi's camera through picamera2, with the interface of a cv2.VideoCapture."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from ..files.pictures import SourceError
from .cameras import Camera

CAMERA_SIZE = (720, 1280)


def pi_camera() -> Camera:
    """Return the camera; opening it raises SourceError if picamera2 or the camera is missing."""
    return Camera("the Raspberry Pi's camera", _open)


def _open() -> "_Capture":
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise SourceError(
            f"source 'picamera2' cannot be imported ({error}): sudo apt install python3-picamera2"
        ) from error
    try:
        camera = Picamera2()
    except (IndexError, RuntimeError) as error:  # no camera is attached; another process has it
        raise SourceError(
            f"cannot open the Raspberry Pi's camera: {error}; check its cable, and `rpicam-hello "
            "--list-cameras`"
        ) from error
    height, width = CAMERA_SIZE
    # picamera2 names formats by the bytes of a little-endian word: RGB888 is B, G, R in memory.
    camera.configure(camera.create_video_configuration(main={"size": (width, height), "format": "RGB888"}))
    camera.start()
    return _Capture(camera)


class _Capture:
    """The part of cv2.VideoCapture that `latest_frames` needs."""

    def __init__(self, camera: Any) -> None:
        self._camera = camera

    def read(self) -> Tuple[bool, np.ndarray]:
        """Return whether the camera sent a picture, and the picture (H, W, 3) uint8 BGR."""
        try:
            return True, self._camera.capture_array("main")
        except (RuntimeError, OSError, TimeoutError):  # its cable came loose
            return False, np.zeros((0, 0, 3), np.uint8)

    def set(self, prop: int, value: float) -> bool:
        """Ignore a property of cv2."""
        return False

    def get(self, prop: int) -> float:
        """Return 0: no property of cv2 is known, and the number of frames is not limited."""
        return 0.0

    def release(self) -> None:
        """Stop the camera."""
        self._camera.stop()
        self._camera.close()
