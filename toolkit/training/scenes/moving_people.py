"""Random videos: people who move through a scene in front of a static camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...errors import PosecError
from ...runtime.pose import MUPOTS17
from ..motion.clips import Clips
from ..motion.retarget import TO_BODY_AXES, neutral_places, turns_of
from ..motion.turns import about
from ..render.backgrounds import paint_place
from ..render.bodies import TO_VIEW, Body, BodyModel
from ..render.cameras import Camera
from ..render.dressed_body import random_light
from ..render.outfits import random_outfit
from ..render.places import random_place
from .placing import APART_M, FARTHEST_M, in_view, random_camera, random_spot
from .random_scene import PeopleSource, random_props
from .scenes import SUPERSAMPLING, Actor, Record, Stage, Truth, render_people, stand

IN_VIEW_SHARE = 0.85
TRIES = 4000


@dataclass(frozen=True)
class VideoSettings:
    """Settings of a rendered video.

    Attributes:
        size: (height, width) of the frames.
        people: number of people.
        frames: number of frames.
        fps: frames per second.
    """

    size: tuple[int, int]
    people: int
    frames: int
    fps: float


class Video(NamedTuple):
    """A rendered video with its labels; people keep their position in every frame's list."""

    pictures: list[np.ndarray]  # (H, W, 3) uint8 BGR each
    truths: list[list[Truth]]  # by frame
    camera: Camera
    fps: float


@dataclass(frozen=True)
class GroundPath:
    """The motion of one person: frames of a clip and their positions on the ground.

    Attributes:
        clips: the clips.
        rows: (T,) frames of them.
        spots_m: (T, 2) x and z on the ground.
        yaw: rotation of the whole clip, degrees.
    """

    clips: Clips
    rows: np.ndarray
    spots_m: np.ndarray
    yaw: float


class Stretch(NamedTuple):
    """A clip that is long enough for a video."""

    clips: Clips
    first: int  # first possible start
    last: int  # last possible start
    step: int  # frames of the clip per frame of the video


def ground_path(clips: Clips, rows: np.ndarray, yaw: float, *, scale: float = 1.0) -> np.ndarray:
    """Return the path (T, 2) of the hips: x and z in metres from its start, turned by `yaw` degrees."""
    moved = (clips.root_m[rows] - clips.root_m[rows[0]]).astype(np.float64)
    moved = moved @ TO_BODY_AXES[clips.kind].T @ TO_VIEW.T
    return scale * (moved @ about("y", yaw).T)[:, [0, 2]]


def leg_length(clips: Clips) -> float:
    """Return the distance from hip to ankle along the leg of the clips' skeleton, metres."""
    joints = ("left_hip", "left_knee", "left_ankle")
    if clips.kind == "cmu":
        joints = ("LeftUpLeg", "LeftLeg", "LeftFoot")
    names = list(clips.joint_names)
    places = neutral_places(clips)[[names.index(joint) for joint in joints]]
    return float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())


def long_stretches(source: PeopleSource, frames: int, fps: float) -> list[Stretch]:
    """Return the clips that last `frames` frames at `fps`. Raises PosecError where there is none."""
    stretches = []
    for clips in source.clips:
        step = round(clips.fps / fps)
        for index, split in enumerate(clips.splits):
            start, end = int(clips.starts[index]), int(clips.starts[index + 1])
            if split == source.split and end - start >= step * frames:
                stretches.append(Stretch(clips, start, end - step * frames, step))
    if not stretches:
        raise PosecError(
            f"no clip of split '{source.split}' lasts {frames} frames at {fps} fps; ask for fewer frames"
        )
    return stretches


def random_paths(
    rng: np.random.Generator,
    stretches: Sequence[Stretch],
    settings: VideoSettings,
    *,
    camera: Camera,
    clear_m: tuple[float, float],
) -> list[GroundPath] | None:
    """Return random paths of people who are mostly in view and never meet.

    Args:
        rng: the only source of randomness.
        stretches: clips to choose from.
        settings: numbers of people and frames.
        camera: of the video.
        clear_m: free distance to the sides and ahead.

    Returns:
        One path per person, or None where no paths fit this camera.
    """
    paths: list[GroundPath] = []
    for _ in range(TRIES):
        if len(paths) == settings.people:
            return paths
        # Alternate between the clips, so that people move differently.
        clips, first, last, step = stretches[len(paths) % len(stretches)]
        rows = int(rng.integers(first, last + 1)) + step * np.arange(settings.frames)
        yaw = rng.uniform(0, 360)
        spots = random_spot(rng, camera) + ground_path(clips, rows, yaw)
        inside = (np.abs(spots[:, 0]) < clear_m[0]) & (spots[:, 1] < min(clear_m[1], FARTHEST_M))
        apart = all(np.linalg.norm(spots - other.spots_m, axis=1).min() >= 1.5 * APART_M for other in paths)
        if not (inside.all() and apart):
            continue
        if np.mean([in_view(camera, spot, whole=True) for spot in spots[::5]]) >= IN_VIEW_SHARE:
            paths.append(GroundPath(clips, rows, spots, yaw))
    return None


def pose_along(model: BodyModel, path: GroundPath, rng: np.random.Generator) -> list[Body]:
    """Return the bodies of one random person along a path, on the ground in every frame."""
    shape = model.random_shape(rng)
    bodies = model.pose(shape, path.clips, turns_of(path.clips, path.rows))
    joints = bodies[0].joints_m
    leg = [joints[MUPOTS17.index(f"left_{joint}")] for joint in ("hip", "knee", "ankle")]
    scale = float(np.linalg.norm(np.diff(leg, axis=0), axis=1).sum()) / leg_length(path.clips)
    # Longer legs take longer steps; the middle of the path keeps its planned position.
    steps = ground_path(path.clips, path.rows, path.yaw, scale=scale)
    middle = len(steps) // 2
    spots = path.spots_m[middle] + steps - steps[middle]
    return [stand(body, spot, path.yaw) for body, spot in zip(bodies, spots, strict=True)]


def random_video(source: PeopleSource, settings: VideoSettings, rng: np.random.Generator) -> Video:
    """Return a random video of people who move in front of a static camera.

    Raises PosecError where no clip of the split is long enough.
    """
    stretches = long_stretches(source, settings.frames, settings.fps)
    paths = None
    while paths is None:
        place, camera = random_place(rng), random_camera(rng, settings.size)
        paths = random_paths(rng, stretches, settings, camera=camera, clear_m=place.clear_m)
    light = random_light(rng, camera.rotation, place.indoors)
    props = random_props(rng, camera, np.concatenate([path.spots_m for path in paths]), place=place)
    backdrop = paint_place(place, camera.enlarged(SUPERSAMPLING), light)
    people = []
    for path in paths:
        bodies, outfit = pose_along(source.model, path, rng), random_outfit(rng)
        clip = path.clips.clip_of(int(path.rows[0]))
        people.append([Actor(body, outfit, clip) for body in bodies])
    stage = Stage(source.model.surface, camera, light)
    rendered = [
        render_people(backdrop, props, actors, stage=stage, soft=place.indoors)
        for actors in zip(*people, strict=True)
    ]
    pictures, truths = [picture for picture, _ in rendered], [truth for _, truth in rendered]
    return Video(pictures, truths, camera, settings.fps)


def video_record(video: Video) -> Record:
    """Return the labels of a video for JSON, rounded to 1 mm and 0.1 px."""
    camera = video.camera
    return {
        "fps": video.fps,
        "size": list(camera.size),
        "focal_px": round(camera.focal_px, 3),
        "principal_px": list(camera.principal_px),
        "clips": [truth.clip for truth in video.truths[0]],
        "frames": [[_person_record(truth) for truth in people] for people in video.truths],
    }


def _person_record(truth: Truth) -> Record:
    return {
        "joints_mm": np.rint(truth.joints_mm).astype(int).tolist(),
        "root_mm": np.rint(truth.root_mm).astype(int).tolist(),
        "joints_px": np.round(truth.joints_px, 1).tolist(),
        "visible": round(truth.visible, 2),
    }
