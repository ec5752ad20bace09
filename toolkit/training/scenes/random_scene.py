"""Scenes drawn at random: who is there, in which pose, wearing what, among which things."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...runtime.pose import MUPOTS17
from ..motion.clips import Clips
from ..motion.poses import vary
from ..motion.retarget import turns_of
from ..render.backgrounds import random_place
from ..render.bodies import BodyModel
from ..render.cameras import Camera
from ..render.dressed_body import random_light
from ..render.outfits import random_outfit
from ..render.props import KINDS_INDOORS, KINDS_OUTDOORS, Prop, make_prop
from .placing import PEOPLE_WEIGHTS, far_enough, random_layout
from .scenes import Actor, Truth, render_scene, stand

DEEPMIMIC_SHARE = 0.3
CHANGED_SHARE = 0.2
SEAT_BELOW_PELVIS_M = 0.11
LOWEST_SEAT_M = 0.25
PROP_CLEARANCE_M = 0.45


def random_actor(
    model: BodyModel,
    sources: Sequence[Clips],
    split: str,
    rng: np.random.Generator,
    spot_m: np.ndarray,
    yaw: float,
) -> tuple[Actor, Prop | None]:
    """Return somebody in a pose of a split, on a spot, and the stool where the pose sits.

    `sources` are the clips of the CMU and of the DeepMimic skeleton.
    """
    clips = sources[int(rng.random() < DEEPMIMIC_SHARE)]
    rows = rng.choice(clips.rows(split), 4)
    captured = turns_of(clips, rows)
    turns = captured[0].copy()
    stance = vary(clips, turns, rng, captured, CHANGED_SHARE)
    body = stand(model.pose(model.random_shape(rng), clips, turns[None])[0], spot_m, yaw)
    seat = -body.joints_m[MUPOTS17.root, 1] - SEAT_BELOW_PELVIS_M
    stool = (
        make_prop(rng, "stool", spot_m + 0.06 * backwards(yaw), seat)
        if stance == "sit" and seat > LOWEST_SEAT_M
        else None
    )
    return Actor(body, random_outfit(rng), clips.clip_of(int(rows[0]))), stool


def backwards(yaw: float) -> np.ndarray:
    """Return the direction (x, z) behind somebody who is turned by `yaw` degrees."""
    return np.array([np.sin(np.radians(yaw)), np.cos(np.radians(yaw))])


def random_props(
    rng: np.random.Generator, camera: Camera, spots_m: np.ndarray, indoors: bool, clear_m: tuple[float, float]
) -> list[Prop]:
    """Return up to five things in view that stand in nobody's way."""
    kinds = KINDS_INDOORS if indoors else KINDS_OUTDOORS
    found: list[Prop] = []
    for _ in range(rng.integers(0, 6)):
        away = rng.uniform(2.2, 11)
        aside = away * rng.uniform(-0.55, 0.55) * camera.size[1] / camera.focal_px
        spot = np.array([aside, away])
        prop = make_prop(rng, str(rng.choice(kinds)), spot)
        others = [(other, prop.radius_m) for other in spots_m] + [
            (other.spot_m, other.radius_m) for other in found
        ]
        inside = abs(aside) + prop.radius_m < clear_m[0] + 0.4 and away + prop.radius_m < clear_m[1] + 0.4
        if inside and far_enough(spot, others, PROP_CLEARANCE_M):
            found.append(prop)
    return found


def random_scene(
    model: BodyModel,
    sources: Sequence[Clips],
    split: str,
    size: tuple[int, int],
    rng: np.random.Generator,
    count: int | None = None,
) -> tuple[np.ndarray, list[Truth], Camera]:
    """Draw and photograph a scene.

    Args:
        model: the body.
        sources: clips of the CMU and of the DeepMimic skeleton.
        split: train, val or test; which clips poses come from.
        size: of the picture, (height, width).
        rng: draws everything.
        count: people; None draws 1 to 6 by PEOPLE_WEIGHTS.

    Returns:
        The picture (H, W, 3) uint8 BGR, the truth of each person, and the camera.
    """
    if count is None:
        count = 1 + int(rng.choice(len(PEOPLE_WEIGHTS), p=PEOPLE_WEIGHTS))
    place = random_place(rng)
    layout = random_layout(rng, size, count, place.clear_m)
    light = random_light(rng, layout.camera.rotation, place.indoors)
    props = random_props(rng, layout.camera, layout.spots_m, place.indoors, place.clear_m)
    actors = []
    for spot, yaw in zip(layout.spots_m, layout.yaws, strict=True):
        actor, stool = random_actor(model, sources, split, rng, spot, yaw)
        actors.append(actor)
        props += [stool] if stool is not None else []
    picture, truths = render_scene(place, props, actors, model.surface, layout.camera, light)
    return photographed(picture, rng), truths, layout.camera


def photographed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the picture (H, W, 3) as a camera may deliver it: exposure, white balance, contrast and a little noise."""
    values = picture.astype(np.float32) / 255
    values = values ** rng.uniform(0.75, 1.1) * rng.uniform(0.9, 1.1) * (1 + rng.normal(0, 0.03, 3))
    values += rng.normal(0, rng.uniform(0.0, 0.012), picture.shape)
    return np.clip(255 * values + 0.5, 0, 255).astype(np.uint8)


def scene_record(file: str, camera: Camera, truths: Sequence[Truth]) -> dict[str, Any]:
    """Return one picture's entry of a truth file."""
    return {
        "file": file,
        "size": list(camera.size),
        "focal_px": round(camera.focal_px, 3),
        "principal_px": list(camera.principal_px),
        "people": [truth.to_dict() for truth in truths],
    }
