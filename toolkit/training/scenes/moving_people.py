"""People who move through a scene in front of a camera that stands still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import PosecError
from ...runtime.pose import MUPOTS17
from ..motion.clips import Clips
from ..motion.poses import about
from ..motion.retarget import TO_BODY_AXES, neutral_places, turns_of
from ..render.backgrounds import paint_place, random_place
from ..render.bodies import TO_VIEW, Body, BodyModel
from ..render.cameras import Camera
from ..render.dressed_body import random_light
from ..render.outfits import random_outfit
from .placing import APART_M, FARTHEST_M, in_view, random_camera, random_spot
from .random_scene import random_props
from .scenes import SUPERSAMPLING, Actor, Truth, render_people, stand

SEEN_SHARE = 0.85
TRIES = 4000


@dataclass(frozen=True)
class Walk:
    """A stretch of a clip and where it leads: `rows` (T,) frames, `spots_m` (T, 2) on the ground, `yaw` of the whole, degrees."""

    clips: Clips
    rows: np.ndarray
    spots_m: np.ndarray
    yaw: float


def ground_path(clips: Clips, rows: np.ndarray, yaw: float, scale: float = 1.0) -> np.ndarray:
    """Return where a clip's hips go, (T, 2), x and z in metres from where they start, turned by `yaw` degrees."""
    moved = (
        (clips.root_m[rows] - clips.root_m[rows[0]]).astype(np.float64)
        @ TO_BODY_AXES[clips.kind].T
        @ TO_VIEW.T
    )
    return scale * (moved @ about("y", yaw).T)[:, [0, 2]]


def leg_length(clips: Clips) -> float:
    """Return hip to ankle of the clips' skeleton, metres."""
    names = list(clips.joint_names)
    joints = (
        ("LeftUpLeg", "LeftLeg", "LeftFoot")
        if clips.kind == "cmu"
        else ("left_hip", "left_knee", "left_ankle")
    )
    places = neutral_places(clips)[[names.index(joint) for joint in joints]]
    return float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())


def long_stretches(
    sources: Sequence[Clips], split: str, frames: int, fps: float
) -> list[tuple[Clips, int, int, int]]:
    """Return clips of a split that last `frames` frames at `fps`: (clips, first start, last start, step in rows).

    Raises PosecError where there is none.
    """
    found = []
    for clips in sources:
        step = round(clips.fps / fps)
        for index, name in enumerate(clips.splits):
            start, end = int(clips.starts[index]), int(clips.starts[index + 1])
            if name == split and end - start >= step * frames:
                found.append((clips, start, end - step * frames, step))
    if not found:
        raise PosecError(
            f"no clip of split '{split}' lasts {frames} frames at {fps} per second; ask for a shorter one"
        )
    return found


def random_walks(
    rng: np.random.Generator,
    stretches: Sequence[tuple[Clips, int, int, int]],
    camera: Camera,
    clear_m: tuple[float, float],
    count: int,
    frames: int,
) -> list[Walk] | None:
    """Return `count` walks of `frames` instants that stay in view most of the time and never meet, from `long_stretches`.

    None where this camera leaves no room for them.
    """
    walks: list[Walk] = []
    for _ in range(TRIES):
        if len(walks) == count:
            return walks
        # In turn, so that not all people do the same.
        clips, first, last, step = stretches[len(walks) % len(stretches)]
        rows = int(rng.integers(first, last + 1)) + step * np.arange(frames)
        yaw = rng.uniform(0, 360)
        spots = random_spot(rng, camera) + ground_path(clips, rows, yaw)
        inside = (np.abs(spots[:, 0]) < clear_m[0]) & (spots[:, 1] < min(clear_m[1], FARTHEST_M))
        apart = all(np.linalg.norm(spots - other.spots_m, axis=1).min() >= 1.5 * APART_M for other in walks)
        if (
            inside.all()
            and apart
            and np.mean([in_view(camera, spot, whole=True) for spot in spots[::5]]) >= SEEN_SHARE
        ):
            walks.append(Walk(clips, rows, spots, yaw))
    return None


def embody(model: BodyModel, walk: Walk, rng: np.random.Generator) -> list[Body]:
    """Return one random person's bodies along a walk, on the ground at every instant."""
    shape = model.random_shape(rng)
    bodies = model.pose(shape, walk.clips, turns_of(walk.clips, walk.rows))
    joints = bodies[0].joints_m
    chain = [joints[MUPOTS17.index(f"left_{joint}")] for joint in ("hip", "knee", "ankle")]
    scale = float(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum()) / leg_length(walk.clips)
    # Longer legs take longer steps; the middle of the walk stays where it was planned.
    path = ground_path(walk.clips, walk.rows, walk.yaw, scale)
    middle = len(path) // 2
    spots = walk.spots_m[middle] + path - path[middle]
    return [stand(body, spot, walk.yaw) for body, spot in zip(bodies, spots, strict=True)]


def random_walk_scene(
    model: BodyModel,
    sources: Sequence[Clips],
    split: str,
    size: tuple[int, int],
    rng: np.random.Generator,
    count: int,
    frames: int,
    fps: float,
) -> tuple[list[np.ndarray], list[list[Truth]], Camera]:
    """Film a scene: `frames` pictures (H, W, 3) uint8 BGR, the truth of the people in each, always in the same order, and the camera."""
    stretches = long_stretches(sources, split, frames, fps)
    walks = None
    while walks is None:
        place, camera = random_place(rng), random_camera(rng, size)
        walks = random_walks(rng, stretches, camera, place.clear_m, count, frames)
    light = random_light(rng, camera.rotation, place.indoors)
    props = random_props(
        rng, camera, np.concatenate([walk.spots_m for walk in walks]), place.indoors, place.clear_m
    )
    backdrop = paint_place(place, camera.enlarged(SUPERSAMPLING), light)
    people = [
        (embody(model, walk, rng), random_outfit(rng), walk.clips.clip_of(int(walk.rows[0])))
        for walk in walks
    ]
    pictures, truths = [], []
    for instant in range(frames):
        actors = [Actor(bodies[instant], outfit, clip) for bodies, outfit, clip in people]
        picture, truth = render_people(
            backdrop, props, actors, model.surface, camera, light, soft=place.indoors
        )
        pictures.append(picture)
        truths.append(truth)
    return pictures, truths, camera


def walk_record(camera: Camera, fps: float, truths: Sequence[Sequence[Truth]]) -> dict[str, Any]:
    """Return the truth of a film for JSON, to 1 mm and 0.1 px; people keep their place in every frame's list."""
    frames = [
        [
            {
                "joints_mm": np.rint(truth.joints_mm).astype(int).tolist(),
                "root_mm": np.rint(truth.root_mm).astype(int).tolist(),
                "joints_px": np.round(truth.joints_px, 1).tolist(),
                "visible": round(truth.visible, 2),
            }
            for truth in people
        ]
        for people in truths
    ]
    clips = [truth.clip for truth in truths[0]]
    return {
        "fps": fps,
        "size": list(camera.size),
        "focal_px": round(camera.focal_px, 3),
        "principal_px": list(camera.principal_px),
        "clips": clips,
        "frames": frames,
    }
