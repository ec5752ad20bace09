"""Random cameras and positions of people on the ground, with minimum distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..render.cameras import Camera, place_camera
from .views import View

# Probabilities of 1 to 6 people.
PEOPLE_WEIGHTS = (0.2, 0.25, 0.2, 0.15, 0.1, 0.1)
ANY = View()
NEAREST_M, FARTHEST_M = ANY.away_m
APART_M = 0.5
ANKLE_M, PELVIS_M, NECK_M, TOP_M = 0.08, 0.95, 1.45, 1.75
WHOLE_SHARE = 0.6
TRIES = 80


@dataclass(frozen=True)
class Layout:
    """A camera and the positions of N people.

    Attributes:
        camera: of the picture.
        spots_m: (N, 2) x and z on the ground.
        yaws: (N,) degrees; 0 faces along -z.
    """

    camera: Camera
    spots_m: np.ndarray
    yaws: np.ndarray


def random_camera(rng: np.random.Generator, size: tuple[int, int], view: View = ANY) -> Camera:
    """Return a random camera, by default at a height of 0.8 to 2.8 m."""
    pitch = float(np.clip(rng.normal(8, 9), -15, 30) if view.pitch is None else rng.uniform(*view.pitch))
    field_of_view, height_m = rng.uniform(*view.field_of_view), rng.uniform(*view.height_m)
    return place_camera(size, field_of_view, height_m, pitch=pitch, roll=rng.normal(0, 3))


def random_spot(rng: np.random.Generator, camera: Camera, view: View = ANY) -> np.ndarray:
    """Return a random spot (x, z), uniform across the width of the picture and log-uniform in depth.

    One spot in ten may lie on the border, so that the border cuts off people.
    """
    margin = 0.02 if rng.random() < 0.1 else -0.04
    away = np.exp(rng.uniform(*np.log(view.away_m)))
    column = rng.uniform(-margin, 1 + margin) * camera.size[1]
    aside = away * (column - camera.principal_px[0]) / camera.focal_px
    return np.array([aside, away]) + camera.position_m[[0, 2]]


def in_view(camera: Camera, spot_m: np.ndarray, whole: bool) -> bool:
    """Return whether neck and pelvis of a person at a spot are in view; with `whole`, head and feet too."""
    height, width = camera.size
    levels = (PELVIS_M, NECK_M, ANKLE_M, TOP_M) if whole else (PELVIS_M, NECK_M)
    points = camera.to_camera(np.array([[spot_m[0], -level, spot_m[1]] for level in levels]))
    if (points[:, 2] < 0.5 * NEAREST_M).any():
        return False
    pixels = camera.to_picture(points)
    return bool(((pixels > [-0.02 * width, 0]) & (pixels < [1.02 * width, height])).all())


def far_enough(spot_m: np.ndarray, others: list[tuple[np.ndarray, float]], apart_m: float = APART_M) -> bool:
    """Return whether a spot is `apart_m` away from the edge of all others, given as (spot, radius)."""
    return all(np.linalg.norm(spot_m - other) >= apart_m + radius for other, radius in others)


def random_layout(
    rng: np.random.Generator,
    size: tuple[int, int],
    count: int,
    *,
    clear_m: tuple[float, float] = (np.inf, np.inf),
    view: View = ANY,
) -> Layout:
    """Return a random camera and spots for `count` people in view, at least APART_M apart.

    Args:
        rng: the only source of randomness.
        size: (height, width) of the picture.
        count: number of people; 0 gives a camera alone.
        clear_m: free distance to the sides and ahead.
        view: of the set.
    """
    while True:
        camera = random_camera(rng, size, view)
        placed: list[tuple[np.ndarray, float]] = []
        whole = rng.binomial(count, WHOLE_SHARE)
        for _ in range(TRIES):
            if len(placed) == count:
                spots_m = np.array([spot for spot, _ in placed]).reshape(-1, 2)
                return Layout(camera, spots_m, _yaws(rng, spots_m, view))
            if view.covered and len(placed) % 2:
                spot = _spot_behind(rng, placed[-1][0])
            else:
                spot = random_spot(rng, camera, view)
            inside = abs(spot[0]) <= clear_m[0] and spot[1] <= clear_m[1]
            seen = in_view(camera, spot, whole=len(placed) < whole and not view.cut_off)
            cut_off = view.cut_off and in_view(camera, spot, whole=True)
            if inside and seen and not cut_off and far_enough(spot, placed):
                placed.append((spot, 0.0))


def _yaws(rng: np.random.Generator, spots_m: np.ndarray, view: View) -> np.ndarray:
    """Return random yaws (N,) in degrees; those of a view's `facing` are relative to the camera."""
    yaws = rng.uniform(*view.facing, len(spots_m))
    if view.facing == ANY.facing:
        return yaws
    return np.asarray((yaws + np.degrees(np.arctan2(spots_m[:, 0], spots_m[:, 1]))) % 360)


def _spot_behind(rng: np.random.Generator, spot_m: np.ndarray) -> np.ndarray:
    """Return a random spot that a person at `spot_m` hides in part from a camera at the origin."""
    away = spot_m / np.linalg.norm(spot_m)
    aside = np.array([away[1], -away[0]])
    return np.asarray(
        spot_m + rng.uniform(0.6, 1.5) * away + rng.uniform(0.15, 0.4) * rng.choice([-1, 1]) * aside
    )
