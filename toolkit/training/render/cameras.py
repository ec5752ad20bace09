"""A pinhole camera above a ground plane. World frame: metres, x right, y down, z away, ground at y = 0."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..motion.turns import about
from .rasterise import project


@dataclass(frozen=True)
class Camera:
    """Intrinsics and extrinsics of a picture.

    Attributes:
        size: (height, width) in pixels.
        focal_px: focal length.
        principal_px: (x, y); the centre of the top-left pixel is (0, 0).
        rotation: (3, 3) from world to camera axes.
        position_m: (3,) in the world; y is the negative height above the ground.
    """

    size: tuple[int, int]
    focal_px: float
    principal_px: tuple[float, float]
    rotation: np.ndarray
    position_m: np.ndarray

    @property
    def down(self) -> np.ndarray:
        """The down direction of the world (3,) in the camera frame."""
        return self.rotation[:, 1]

    def to_camera(self, points_m: np.ndarray) -> np.ndarray:
        """Return world points (..., 3) in the camera frame."""
        return (points_m - self.position_m) @ self.rotation.T

    def to_picture(self, points_m: np.ndarray) -> np.ndarray:
        """Return pixels (..., 2) of points (..., 3) in the camera frame."""
        return project(points_m, self.focal_px, self.principal_px)

    def rays(self) -> np.ndarray:
        """Return the viewing rays (H * W, 3) in the world frame, scaled to z = 1 in the camera frame."""
        y, x = np.mgrid[: self.size[0], : self.size[1]].reshape(2, -1)
        right = (x - self.principal_px[0]) / self.focal_px
        down = (y - self.principal_px[1]) / self.focal_px
        return np.stack([right, down, np.ones(x.shape)], -1) @ self.rotation

    def enlarged(self, factor: int) -> Camera:
        """Return the camera of a picture `factor` times larger; area-averaged, it is that of this camera."""
        shift = (factor - 1) / 2
        return replace(
            self,
            size=(self.size[0] * factor, self.size[1] * factor),
            focal_px=self.focal_px * factor,
            principal_px=(self.principal_px[0] * factor + shift, self.principal_px[1] * factor + shift),
        )


def place_camera(
    size: tuple[int, int], field_of_view: float, height_m: float, *, pitch: float, roll: float = 0.0
) -> Camera:
    """Return a camera above the origin that looks along z.

    Args:
        size: (height, width) in pixels.
        field_of_view: horizontal, degrees.
        height_m: above the ground.
        pitch: downwards, degrees.
        roll: degrees.
    """
    focal = size[1] / 2 / np.tan(np.radians(field_of_view) / 2)
    return Camera(
        size=size,
        focal_px=float(focal),
        principal_px=((size[1] - 1) / 2, (size[0] - 1) / 2),
        rotation=about("z", roll) @ about("x", pitch),
        position_m=np.array([0.0, -height_m, 0.0]),
    )
