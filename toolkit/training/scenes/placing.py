"""Who stands where: cameras, spots on the ground and the rules between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..render.cameras import Camera, place_camera

PEOPLE_WEIGHTS = (0.2, 0.25, 0.2, 0.15, 0.1, 0.1)
NEAREST_M, FARTHEST_M = 1.8, 9.0
APART_M = 0.5
ANKLE_M, PELVIS_M, NECK_M, TOP_M = 0.08, 0.95, 1.45, 1.75
WHOLE_SHARE = 0.6
TRIES = 80


@dataclass(frozen=True)
class Layout:
    """A camera, and for N people their `spots_m` (N, 2), x and z on the ground, and `yaws` (N,), degrees, 0 faces along -z."""

    camera: Camera
    spots_m: np.ndarray
    yaws: np.ndarray


def random_camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """Return a camera at the height of a table to above a door: fields of view of 40 to 75 degrees, 30 down to 15 up."""
    pitch = float(np.clip(rng.normal(8, 9), -15, 30))
    return place_camera(size, rng.uniform(40, 75), rng.uniform(0.8, 2.8), pitch, rng.normal(0, 3))


def random_spot(rng: np.random.Generator, camera: Camera) -> np.ndarray:
    """Return a spot (x, z) whose pelvis lies on a ray uniform across the picture, its depth log-uniform.

    One in ten may lie on the border, so that people are cut off by it.
    """
    margin = 0.02 if rng.random() < 0.1 else -0.04
    away = np.exp(rng.uniform(np.log(NEAREST_M), np.log(FARTHEST_M)))
    column = rng.uniform(-margin, 1 + margin) * camera.size[1]
    return (
        np.array([away * (column - camera.principal_px[0]) / camera.focal_px, away])
        + camera.position_m[[0, 2]]
    )


def in_view(camera: Camera, spot_m: np.ndarray, whole: bool) -> bool:
    """Tell whether somebody who stands there shows neck and pelvis, and head and feet too for `whole`."""
    height, width = camera.size
    levels = (PELVIS_M, NECK_M, ANKLE_M, TOP_M) if whole else (PELVIS_M, NECK_M)
    points = camera.to_camera(np.array([[spot_m[0], -level, spot_m[1]] for level in levels]))
    if (points[:, 2] < 0.5 * NEAREST_M).any():
        return False
    pixels = camera.to_picture(points)
    return bool(((pixels > [-0.02 * width, 0]) & (pixels < [1.02 * width, height])).all())


def far_enough(spot_m: np.ndarray, others: list[tuple[np.ndarray, float]], apart_m: float = APART_M) -> bool:
    """Tell whether a spot keeps `apart_m` plus their radius from all others, given as (spot, radius)."""
    return all(np.linalg.norm(spot_m - other) >= apart_m + radius for other, radius in others)


def random_layout(
    rng: np.random.Generator,
    size: tuple[int, int],
    count: int,
    clear_m: tuple[float, float] = (np.inf, np.inf),
) -> Layout:
    """Return a camera and spots for `count` people who are in view and apart from each other.

    Args:
        rng: draws everything.
        size: of the picture, (height, width).
        count: people; 0 is a camera alone.
        clear_m: how far to the sides and away people may stand.
    """
    while True:
        camera = random_camera(rng, size)
        placed: list[tuple[np.ndarray, float]] = []
        whole = rng.binomial(count, WHOLE_SHARE)
        for _ in range(TRIES):
            if len(placed) == count:
                yaws = rng.uniform(0, 360, count)
                return Layout(camera, np.array([spot for spot, _ in placed]).reshape(-1, 2), yaws)
            spot = random_spot(rng, camera)
            if (
                abs(spot[0]) > clear_m[0]
                or spot[1] > clear_m[1]
                or not in_view(camera, spot, whole=len(placed) < whole)
            ):
                continue
            if far_enough(spot, placed):
                placed.append((spot, 0.0))
