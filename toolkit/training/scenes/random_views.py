"""Random recordings by several static cameras: the same people at the same instants, from other sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..motion.turns import about
from ..render.cameras import Camera, place_camera
from ..render.places import Place, Plane, random_place
from .placing import PELVIS_M, in_view
from .random_clip import Clip, ClipSettings, is_inside, random_paths, random_take
from .random_scene import PeopleSource

MOST_VIEWS = 8
MIDDLE_M = (2.8, 4.8)  # distance of the middle of the views from the first camera
AWAY_M = (2.8, 6.0)  # distance of the others from this middle
SPREAD_M = 0.5  # deviation of people's paths from this middle
NEAREST_M = 1.8  # person before a camera
IN_VIEW_SHARE = 0.8  # of the frames, with the whole person in each view
_CHECKED = 16  # frames of a path
APART_DEGREES = 25.0  # between the directions from this middle to two cameras
BEHIND_M = 0.6  # of the wall behind the first camera
_TRIES = 400


def random_views(
    source: PeopleSource, settings: ClipSettings, count: int, rng: np.random.Generator
) -> list[Clip]:
    """Return one clip for each of `count` static cameras, 2 to MOST_VIEWS; `settings.camera` is not used.

    Read each clip to its end before the next. Raises PosecError if the split of the motion capture has no
    clip.
    """
    paths = None
    while paths is None:
        place = enclosed(random_place(rng))
        cameras, middle_m = random_cameras(rng, place, settings.size, count)
        spot, fits = _limits(rng, place, cameras, middle_m)
        paths = random_paths(rng, source, settings, spot=spot, fits=fits)
    take = random_take(rng, source, place, paths=paths, cameras=cameras)
    motions = [path.clips.names[0] for path in paths]
    return [
        Clip(take.frames([camera] * settings.frames, rng, view), motions, place.kind)
        for view, camera in enumerate(cameras)
    ]


def _limits(
    rng: np.random.Generator, place: Place, cameras: Sequence[Camera], middle_m: np.ndarray
) -> tuple[Callable[[], np.ndarray], Callable[[np.ndarray], bool]]:
    """Return the functions for `random_paths` of people in the middle of all views."""

    def fits(spots_m: np.ndarray) -> bool:
        if not is_inside(spots_m, place.clear_m) or spots_m[:, 1].min() < 0:
            return False
        chosen = spots_m[np.linspace(0, len(spots_m) - 1, _CHECKED).astype(int)]
        for camera in cameras:
            ahead = camera.to_camera(np.insert(chosen, 1, -PELVIS_M, axis=1))[:, 2]
            if ahead.min() < NEAREST_M:
                return False
            if np.mean([in_view(camera, spot, whole=True) for spot in chosen]) < IN_VIEW_SHARE:
                return False
        return True

    return lambda: middle_m + rng.normal(0, SPREAD_M, 2), fits


def enclosed(place: Place) -> Place:
    """Return an indoor place with walls on all sides, also behind the first camera."""
    if not place.indoors:
        return place
    wall = next(plane for plane in place.planes if plane.axis == 2)
    side_m = place.clear_m[0] + 0.5
    sides = [Plane(2, -BEHIND_M, 1, wall.material)]
    if not any(plane.axis == 0 for plane in place.planes):
        sides += [Plane(0, side * side_m, -side, wall.material) for side in (-1, 1)]
    return replace(place, planes=(*place.planes, *sides))


def random_cameras(
    rng: np.random.Generator, place: Place, size: tuple[int, int], count: int
) -> tuple[list[Camera], np.ndarray]:
    """Return random cameras that look at one spot from different sides, and this spot (x, z).

    The first is above the origin. Heights and fields of view are those of random scenes.
    """
    while True:
        farthest_m = max(MIDDLE_M[0], min(MIDDLE_M[1], place.clear_m[1] - 1.5))
        middle = np.array([rng.uniform(-0.5, 0.5), rng.uniform(MIDDLE_M[0], farthest_m)])
        spots = [np.zeros(2)]
        for _ in range(_TRIES):
            if len(spots) == count:
                return [_aimed(rng, size, spot, middle) for spot in spots], middle
            low, high = (-place.clear_m[0], 0.0), (place.clear_m[0], place.clear_m[1])
            spot = rng.uniform(low, high)
            if AWAY_M[0] < np.linalg.norm(spot - middle) < AWAY_M[1] and all(
                _angle(spot - middle, other - middle) > APART_DEGREES for other in spots
            ):
                spots.append(spot)


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    """Return the angle in degrees between two directions (2,)."""
    return float(np.degrees(np.arccos(np.clip(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)), -1, 1))))


def _aimed(
    rng: np.random.Generator, size: tuple[int, int], spot_m: np.ndarray, middle_m: np.ndarray
) -> Camera:
    """Return a camera above a spot that looks at a person in the middle, a few degrees off."""
    height_m, ahead = rng.uniform(0.8, 2.8), middle_m - spot_m
    pitch = np.degrees(np.arctan2(height_m - 0.95, np.linalg.norm(ahead))) + rng.normal(0, 2)
    camera = place_camera(size, rng.uniform(50, 75), height_m, pitch=pitch, roll=rng.normal(0, 3))
    yaw = np.degrees(np.arctan2(ahead[0], ahead[1])) + rng.normal(0, 3)
    return replace(
        camera,
        rotation=camera.rotation @ about("y", -yaw),
        position_m=np.array([spot_m[0], -height_m, spot_m[1]]),
    )
