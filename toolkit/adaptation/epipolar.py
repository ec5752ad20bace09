"""Two cameras from joints that both see: rotation and direction of translation by epipolar geometry.

Hartley and Zisserman, Multiple View Geometry, 2004, 9.6 and 11.4.3 (Sampson's distance).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .pairs import Pairs
from .sightings import Sightings

NOISE_PX = 4.0  # of joints; larger distances weigh less
# Errors of joints are alike from frame to frame, so many joints count as this number of independent ones.
INDEPENDENT = 100
PRIOR_DEGREES, PRIOR_DIRECTION_DEGREES = 6.0, 12.0  # deviations of the pose to start from
INSIDE = 0.02  # of the picture: joints nearer to its border are cut off
STEPS = 20
_DIFFERENCE = 1e-5


class Rays(NamedTuple):
    """Viewing rays of the same joints in two cameras, (P, 3) each, z = 1."""

    a: np.ndarray
    b: np.ndarray

    @classmethod
    def of(cls, a: Sightings, b: Sightings, pairs: Pairs) -> Rays:
        """Return the rays through the joints that are inside both pictures, of all pairs."""
        pixels = [
            np.concatenate(
                [sightings.people[frame].joints_px[row] for frame, row in zip(frames, rows, strict=True)]
            )
            for sightings, frames, rows in zip((a, b), pairs.frames.T, pairs.rows.T, strict=True)
        ]
        inside = _inside(pixels[0], a.size) & _inside(pixels[1], b.size)
        rays = (
            sightings.camera.rays(points[inside]).astype(np.float64)
            for sightings, points in zip((a, b), pixels, strict=True)
        )
        return cls(*rays)


def _inside(points_px: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    margin = INSIDE * max(size)
    return np.asarray(((points_px > margin) & (points_px < np.array([width, height]) - margin)).all(axis=-1))


def sampson_px(rays: Rays, rotation: np.ndarray, position: np.ndarray, focal_px: float) -> np.ndarray:
    """Return the signed distances (P,) of joints from their epipolar lines, in pixels.

    `rotation` is from B's axes to A's, and `position` B's place in A's frame, in any unit.
    """
    essential = cross_matrix(position / max(np.linalg.norm(position), 1e-12)) @ rotation
    lines_a, lines_b = rays.b @ essential.T, rays.a @ essential
    residual = (rays.a * lines_a).sum(-1)
    length = np.sqrt((lines_a[:, :2] ** 2).sum(-1) + (lines_b[:, :2] ** 2).sum(-1))
    return np.asarray(focal_px * residual / np.maximum(length, 1e-9))


def refine_pose(
    rays: Rays, rotation: np.ndarray, position: np.ndarray, *, focal_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the rotation and position with the least distances from epipolar lines.

    The length of the position is kept. Gauss-Newton with Cauchy's weights, and the start as a weak prior.
    """
    length = float(np.linalg.norm(position))
    tangents = np.linalg.svd(position[None] / max(length, 1e-12))[2][1:]

    def moved(change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        direction = position / max(length, 1e-12) + change[3:] @ tangents
        return rotation_by(change[:3]) @ rotation, length * direction / np.linalg.norm(direction)

    def residuals(change: np.ndarray) -> np.ndarray:
        return sampson_px(rays, *moved(change), focal_px) / NOISE_PX

    deviations = np.radians([PRIOR_DEGREES] * 3 + [PRIOR_DIRECTION_DEGREES] * 2)
    change = np.zeros(5)
    for _ in range(STEPS):
        now = residuals(change)
        columns = [(residuals(change + _DIFFERENCE * unit) - now) / _DIFFERENCE for unit in np.eye(5)]
        jacobian = np.column_stack(columns)
        weights = min(1.0, INDEPENDENT / len(now)) / (1 + now**2)
        normal = jacobian.T @ (weights[:, None] * jacobian) + np.diag(deviations**-2)
        gradient = jacobian.T @ (weights * now) + change / deviations**2
        change = change - np.linalg.solve(normal, gradient)
    return moved(change)


def rotation_by(vector: np.ndarray) -> np.ndarray:
    """Return the rotation (3, 3) about a vector by its length in radians (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    cross = cross_matrix(vector / max(angle, 1e-12))
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def cross_matrix(vector: np.ndarray) -> np.ndarray:
    """Return the matrix (3, 3) whose product with a vector is the cross product."""
    x, y, z = vector
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
