"""A pinhole camera above a ground plane. World: metres, x right, y down, z away, the ground at y = 0."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..motion.poses import about
from .rasterise import project


@dataclass(frozen=True)
class Camera:
    """Where a picture is taken from.

    Attributes:
        size: (height, width) in pixels.
        focal_px: focal length.
        principal_px: (x, y), the centre of the top-left pixel is (0, 0).
        rotation: (3, 3) from world to camera axes.
        position_m: (3,) in the world; y is minus the height above the ground.
    """

    size: tuple[int, int]
    focal_px: float
    principal_px: tuple[float, float]
    rotation: np.ndarray
    position_m: np.ndarray

    @property
    def down(self) -> np.ndarray:
        """The world's down (3,) in the camera frame."""
        return self.rotation[:, 1]

    def to_camera(self, points_m: np.ndarray) -> np.ndarray:
        """Return world points (..., 3) in the camera frame."""
        return (points_m - self.position_m) @ self.rotation.T

    def to_picture(self, points_m: np.ndarray) -> np.ndarray:
        """Return pixels (..., 2) of points (..., 3) in the camera frame."""
        return project(points_m, self.focal_px, self.principal_px)

    def rays(self) -> np.ndarray:
        """Return the directions (H * W, 3) in the world in which the pixels look, with a z of 1 in the camera frame."""
        y, x = np.mgrid[: self.size[0], : self.size[1]].reshape(2, -1)
        ways = np.stack(
            [
                (x - self.principal_px[0]) / self.focal_px,
                (y - self.principal_px[1]) / self.focal_px,
                np.ones(x.shape),
            ],
            -1,
        )
        return ways @ self.rotation

    def enlarged(self, factor: int) -> Camera:
        """Return the camera whose picture, reduced by `factor` (area average), is this camera's."""
        shift = (factor - 1) / 2
        return replace(
            self,
            size=(self.size[0] * factor, self.size[1] * factor),
            focal_px=self.focal_px * factor,
            principal_px=(self.principal_px[0] * factor + shift, self.principal_px[1] * factor + shift),
        )


def place_camera(
    size: tuple[int, int], field_of_view: float, height_m: float, pitch: float, roll: float = 0.0
) -> Camera:
    """Return a camera over the origin that looks along z, `pitch` degrees downwards; the field of view (degrees) is horizontal."""
    focal = size[1] / 2 / np.tan(np.radians(field_of_view) / 2)
    centre = ((size[1] - 1) / 2, (size[0] - 1) / 2)
    return Camera(
        size, float(focal), centre, about("z", roll) @ about("x", pitch), np.array([0.0, -height_m, 0.0])
    )
