"""Random video clips with exact labels: people who move, seen by a static or moving camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..motion.long_motion import long_motion
from ..render.backgrounds import Backdrop, paint_place
from ..render.bodies import Surface
from ..render.camera_paths import camera_path
from ..render.cameras import Camera
from ..render.dressed_body import random_light
from ..render.outfits import random_outfit
from ..render.places import Place, random_place
from ..render.props import Prop
from ..render.rasterise import Light
from .exposure import Exposure, random_exposure
from .moving_people import GroundPath, ground_path, pose_along
from .placing import APART_M, FARTHEST_M, PELVIS_M, in_view, random_camera, random_spot
from .random_scene import DEEPMIMIC_SHARE, PeopleSource, random_props
from .scenes import SUPERSAMPLING, Actor, Stage, Truth, enlarge, render_people

IN_VIEW_SHARE = 0.7
NEAREST_M = 1.2
MOTIONS, SPOTS = 30, 60  # tries per person


@dataclass(frozen=True)
class ClipSettings:
    """Settings of a clip.

    Attributes:
        size: (height, width) of the frames.
        people: number of people.
        frames: number of frames.
        fps: frames per second.
        camera: of `camera_paths.PATHS`.
    """

    size: tuple[int, int]
    people: int
    frames: int
    fps: float
    camera: str


class ClipFrame(NamedTuple):
    """One frame of a clip: its picture (H, W, 3) uint8 BGR, its camera, and its people in a fixed order."""

    picture: np.ndarray
    camera: Camera
    truths: list[Truth]


class Clip(NamedTuple):
    """A clip that renders its frames on reading; its motions and place by name."""

    frames: Iterator[ClipFrame]
    motions: list[str]  # of each person
    place: str


@dataclass(frozen=True)
class Take:
    """People who move through a place, for any camera in it.

    Attributes:
        place: with the props.
        props: of the place.
        people: body and outfit of each person in each frame.
        surface: mesh of all people.
        light: its direction is in the axes of `rotation`.
        rotation: (3, 3) from world to these axes.
        exposures: of each camera.
    """

    place: Place
    props: Sequence[Prop]
    people: Sequence[Sequence[Actor]]
    surface: Surface
    light: Light
    rotation: np.ndarray
    exposures: Sequence[Exposure]

    def frames(
        self, cameras: Sequence[Camera], rng: np.random.Generator, view: int = 0
    ) -> Iterator[ClipFrame]:
        """Yield each frame, rendered for the camera that a view has in it; `rng` draws the noise."""
        backdrop, last = None, None
        for index, camera in enumerate(cameras):
            to_frame = camera.rotation @ self.rotation.T  # the lamp is fixed in the world
            lit = replace(self.light, direction=to_frame @ self.light.direction)
            if backdrop is None or camera is not last:
                backdrop, last = _paint(self.place, camera, lit), camera
            stage = Stage(self.surface, camera, lit, shadow_scale=1)
            actors = [bodies[index] for bodies in self.people]
            picture, truths = render_people(
                backdrop, self.props, actors, stage=stage, soft=self.place.indoors
            )
            yield ClipFrame(self.exposures[view].apply(picture, rng), camera, truths)


def random_clip(source: PeopleSource, settings: ClipSettings, rng: np.random.Generator) -> Clip:
    """Return a random clip. Raises PosecError if the split of the motion capture has no clip."""
    times_s = np.arange(settings.frames) / settings.fps
    paths = None
    while paths is None:
        place = random_place(rng)
        cameras = camera_path(rng, random_camera(rng, settings.size), settings.camera, times_s.tolist())
        spot, fits = _limits(rng, place, cameras)
        paths = random_paths(rng, source, settings, spot=spot, fits=fits)
    take = random_take(rng, source, place, paths=paths, cameras=cameras[:1])
    if settings.camera == "static":
        cameras = cameras[:1] * len(cameras)
    return Clip(take.frames(cameras, rng), [path.clips.names[0] for path in paths], place.kind)


def _limits(
    rng: np.random.Generator, place: Place, cameras: Sequence[Camera]
) -> tuple[Callable[[], np.ndarray], Callable[[np.ndarray], bool]]:
    """Return the functions for `random_paths` of one camera's path."""
    middle = cameras[len(cameras) // 2]

    def fits(spots_m: np.ndarray) -> bool:
        return is_inside(spots_m, place.clear_m) and _is_mostly_in_view(cameras, spots_m)

    return lambda: random_spot(rng, middle), fits


def random_take(
    rng: np.random.Generator,
    source: PeopleSource,
    place: Place,
    *,
    paths: Sequence[GroundPath],
    cameras: Sequence[Camera],
) -> Take:
    """Return random people, light, exposures and props in a place.

    Args:
        rng: the only source of randomness.
        source: of the bodies.
        place: of the take.
        paths: of the people.
        cameras: one of each view; the first sees all props.
    """
    light = random_light(rng, cameras[0].rotation, place.indoors)
    others_m = [camera.position_m[None, [0, 2]] for camera in cameras[1:]]
    spots_m = np.concatenate([*(path.spots_m for path in paths), *others_m])
    props = random_props(rng, cameras[0], spots_m, place=place)
    exposures = [random_exposure(rng) for _ in cameras]
    people = []
    for path in paths:
        bodies, outfit = pose_along(source.model, path, rng), random_outfit(rng)
        people.append([Actor(body, outfit, path.clips.names[0]) for body in bodies])
    return Take(place, props, people, source.model.surface, light, cameras[0].rotation, exposures)


def _paint(place: Place, camera: Camera, light: Light) -> Backdrop:
    """Return the backdrop for a camera enlarged by SUPERSAMPLING, painted at the size of the picture."""
    small = paint_place(place, camera, light)
    return Backdrop(*(enlarge(values, camera.size, SUPERSAMPLING) for values in small))


def random_paths(
    rng: np.random.Generator,
    source: PeopleSource,
    settings: ClipSettings,
    *,
    spot: Callable[[], np.ndarray],
    fits: Callable[[np.ndarray], bool],
) -> list[GroundPath] | None:
    """Return one path per person, apart in every frame; None if no path fits.

    `spot` returns a random place (x, z) in m for the middle of a path (T, 2), and `fits` accepts a path.
    """
    paths: list[GroundPath] = []
    for _ in range(settings.people):
        path = _random_path(rng, source, settings, spot=spot, fits=fits, others=paths)
        if path is None:
            return None
        paths.append(path)
    return paths


def _random_path(
    rng: np.random.Generator,
    source: PeopleSource,
    settings: ClipSettings,
    *,
    spot: Callable[[], np.ndarray],
    fits: Callable[[np.ndarray], bool],
    others: Sequence[GroundPath],
) -> GroundPath | None:
    """Return the path of one more person, or None."""
    rows = np.arange(settings.frames)
    for _ in range(MOTIONS):
        clips = source.clips[int(rng.random() < DEEPMIMIC_SHARE)]
        motion = long_motion(rng, clips, source.split, frames=settings.frames, fps=settings.fps)
        for _ in range(SPOTS):
            yaw = rng.uniform(0, 360)
            spots = ground_path(motion, rows, yaw)
            spots += spot() - spots[len(spots) // 2]
            apart = all(np.linalg.norm(spots - other.spots_m, axis=1).min() >= APART_M for other in others)
            if apart and fits(spots):
                return GroundPath(motion, rows, spots, yaw)
    return None


def is_inside(spots_m: np.ndarray, clear_m: tuple[float, float]) -> bool:
    """Return whether a path (T, 2) stays in the free part of a place."""
    inside = (np.abs(spots_m[:, 0]) < clear_m[0]) & (spots_m[:, 1] < min(clear_m[1], FARTHEST_M))
    return bool(inside.all())


def _is_mostly_in_view(cameras: Sequence[Camera], spots_m: np.ndarray) -> bool:
    """Return whether a person on a path (T, 2) stays ahead of the camera, and mostly in view as a whole."""
    pelvis = np.column_stack([spots_m[:, 0], np.full(len(spots_m), -PELVIS_M), spots_m[:, 1]])
    ahead = [camera.to_camera(point)[2] for camera, point in zip(cameras, pelvis, strict=True)]
    if min(ahead) < NEAREST_M:
        return False
    seen = [
        in_view(camera, spot, whole=True) for camera, spot in list(zip(cameras, spots_m, strict=True))[::5]
    ]
    return bool(np.mean(seen) >= IN_VIEW_SHARE)
