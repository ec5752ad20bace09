"""Random video clips with exact labels: people who move, seen by a static or moving camera."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..motion.long_motion import long_motion
from ..render.backgrounds import Backdrop, paint_place
from ..render.camera_paths import camera_path
from ..render.cameras import Camera
from ..render.dressed_body import random_light
from ..render.outfits import random_outfit
from ..render.places import Place, random_place
from ..render.rasterise import Light
from .exposure import random_exposure
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


def random_clip(source: PeopleSource, settings: ClipSettings, rng: np.random.Generator) -> Clip:
    """Return a random clip. Raises PosecError if the split of the motion capture has no clip."""
    times_s = np.arange(settings.frames) / settings.fps
    paths = None
    while paths is None:
        place = random_place(rng)
        cameras = camera_path(rng, random_camera(rng, settings.size), settings.camera, times_s.tolist())
        paths = _random_paths(rng, source, settings, cameras=cameras, clear_m=place.clear_m)
    light = random_light(rng, cameras[0].rotation, place.indoors)
    props = random_props(rng, cameras[0], np.concatenate([path.spots_m for path in paths]), place=place)
    exposure = random_exposure(rng)
    people = []
    for path in paths:
        bodies, outfit = pose_along(source.model, path, rng), random_outfit(rng)
        people.append([Actor(body, outfit, path.clips.names[0]) for body in bodies])

    def frames() -> Iterator[ClipFrame]:
        backdrop = None
        for index, camera in enumerate(cameras):
            to_frame = camera.rotation @ cameras[0].rotation.T  # the lamp is fixed in the world
            lit = replace(light, direction=to_frame @ light.direction)
            if backdrop is None or settings.camera != "static":
                backdrop = _paint(place, camera, lit)
            stage = Stage(source.model.surface, camera, lit, shadow_scale=1)
            actors = [bodies[index] for bodies in people]
            picture, truths = render_people(backdrop, props, actors, stage=stage, soft=place.indoors)
            yield ClipFrame(exposure.apply(picture, rng), camera, truths)

    return Clip(frames(), [path.clips.names[0] for path in paths], place.kind)


def _paint(place: Place, camera: Camera, light: Light) -> Backdrop:
    """Return the backdrop for a camera enlarged by SUPERSAMPLING, painted at the size of the picture."""
    small = paint_place(place, camera, light)
    return Backdrop(*(enlarge(values, camera.size, SUPERSAMPLING) for values in small))


def _random_paths(
    rng: np.random.Generator,
    source: PeopleSource,
    settings: ClipSettings,
    *,
    cameras: Sequence[Camera],
    clear_m: tuple[float, float],
) -> list[GroundPath] | None:
    """Return one path per person, mostly in view and apart in every frame; None if no path fits."""
    paths: list[GroundPath] = []
    for _ in range(settings.people):
        path = _random_path(rng, source, settings, cameras=cameras, clear_m=clear_m, others=paths)
        if path is None:
            return None
        paths.append(path)
    return paths


def _random_path(
    rng: np.random.Generator,
    source: PeopleSource,
    settings: ClipSettings,
    *,
    cameras: Sequence[Camera],
    clear_m: tuple[float, float],
    others: Sequence[GroundPath],
) -> GroundPath | None:
    """Return the path of one more person, or None."""
    rows = np.arange(settings.frames)
    middle = cameras[len(cameras) // 2]
    for _ in range(MOTIONS):
        clips = source.clips[int(rng.random() < DEEPMIMIC_SHARE)]
        motion = long_motion(rng, clips, source.split, frames=settings.frames, fps=settings.fps)
        for _ in range(SPOTS):
            yaw = rng.uniform(0, 360)
            spots = ground_path(motion, rows, yaw)
            spots += random_spot(rng, middle) - spots[len(spots) // 2]
            inside = (np.abs(spots[:, 0]) < clear_m[0]) & (spots[:, 1] < min(clear_m[1], FARTHEST_M))
            apart = all(np.linalg.norm(spots - other.spots_m, axis=1).min() >= APART_M for other in others)
            if inside.all() and apart and _is_mostly_in_view(cameras, spots):
                return GroundPath(motion, rows, spots, yaw)
    return None


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
