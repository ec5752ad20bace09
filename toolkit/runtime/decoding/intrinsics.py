"""Cameras: viewing rays through points of a picture.

A camera model is a function from a picture's size (height, width) to the intrinsics of such pictures. Points
are undistorted; pictures are not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Callable, Tuple

import cv2
import numpy as np

from ..errors import PoseError

LARGEST_FOCAL_PX = 1e6


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole camera with OpenCV's distortion, for pictures of one size.

    Attributes:
        focal_px: x and y, in picture pixels.
        principal_px: x and y; a pixel's centre has whole coordinates.
        distortion: k1, k2, p1, p2, k3, … of OpenCV; empty for none.
    """

    focal_px: Tuple[float, float]
    principal_px: Tuple[float, float]
    distortion: Tuple[float, ...] = ()

    @property
    def mean_focal_px(self) -> float:
        """Focal length of both axes together, in picture pixels."""
        x, y = self.focal_px
        return x if x == y else math.sqrt(x * y)

    def rays(self, points_px: np.ndarray) -> np.ndarray:
        """Return viewing rays (N, 3) with z = 1, camera frame, through picture points (N, 2)."""
        rays = np.ones((len(points_px), 3), np.float32)
        if any(self.distortion) and len(points_px):
            (x, y), (column, row) = self.focal_px, self.principal_px
            matrix = np.array([[x, 0, column], [0, y, row], [0, 0, 1]])
            points = np.asarray(points_px, np.float64)[:, None]
            rays[:, :2] = cv2.undistortPoints(points, matrix, np.array(self.distortion))[:, 0]
        else:
            x, y = self.focal_px
            focal_px = x if x == y else np.array((x, y), np.float32)
            rays[:, :2] = (points_px - np.array(self.principal_px, np.float32)) / focal_px
        return rays

    def field_of_view(self, size: Tuple[int, int]) -> float:
        """Return the undistorted angle across the longer side of pictures (height, width), in degrees."""
        return math.degrees(2 * math.atan(max(size) / 2 / self.mean_focal_px))


CameraModel = Callable[[Tuple[int, int]], Intrinsics]


def pinhole(focal_px: float, size: Tuple[int, int]) -> Intrinsics:
    """Return a camera with its principal point in the middle of pictures (height, width)."""
    return Intrinsics((focal_px, focal_px), ((size[1] - 1) / 2, (size[0] - 1) / 2))


def focal_length(focal_px: float) -> CameraModel:
    """Return a camera model by focal length in picture pixels.

    Raises PoseError unless it is positive, and at most LARGEST_FOCAL_PX.
    """
    if not 0 < focal_px <= LARGEST_FOCAL_PX:
        raise PoseError(
            f"focal_px must be a positive number of picture pixels up to {LARGEST_FOCAL_PX:g}, got {focal_px}"
        )
    return lambda size: pinhole(focal_px, size)


def field_of_view(degrees: float) -> CameraModel:
    """Return a camera model by field of view across the longer side.

    Raises PoseError outside 1 to 179 degrees.
    """
    if not 1 <= degrees <= 179:
        raise PoseError(
            f"the field of view must lie between 1 and 179 degrees, got {degrees}; cameras have 40 to 120"
        )
    half_sides = 1 / math.tan(math.radians(degrees) / 2)
    return lambda size: pinhole(half_sides * max(size) / 2, size)
