"""Random scenes: people in random poses and outfits among random props."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...runtime.pose import MUPOTS17
from ..motion.clips import Clips
from ..motion.poses import vary
from ..motion.retarget import turns_of
from ..render.bodies import BodyModel
from ..render.cameras import Camera
from ..render.dressed_body import random_light
from ..render.outfits import random_outfit
from ..render.places import Place, random_place
from ..render.props import KINDS_INDOORS, KINDS_OUTDOORS, Prop, make_prop
from .exposure import random_exposure
from .placing import ANY, PEOPLE_WEIGHTS, far_enough, random_layout
from .scenes import Actor, Record, Stage, Truth, render_scene, stand
from .views import View

DEEPMIMIC_SHARE = 0.3
CHANGED_SHARE = 0.2
SEAT_BELOW_PELVIS_M = 0.11
LOWEST_SEAT_M = 0.25
PROP_CLEARANCE_M = 0.45


class PeopleSource(NamedTuple):
    """The body model and the clips that random people are drawn from."""

    model: BodyModel
    clips: Sequence[Clips]  # of the CMU and of the DeepMimic skeleton
    split: str  # of the clips: train, val or test


class Scene(NamedTuple):
    """A rendered picture with its labels."""

    picture: np.ndarray  # (H, W, 3) uint8 BGR
    truths: list[Truth]  # one per person
    camera: Camera


def random_actor(
    source: PeopleSource, rng: np.random.Generator, spot_m: np.ndarray, *, yaw: float
) -> tuple[Actor, Prop | None]:
    """Return a random person at a spot, and a stool where the pose is seated.

    Args:
        source: body model and clips.
        rng: the only source of randomness.
        spot_m: (2,) x and z on the ground.
        yaw: degrees; 0 faces along -z.
    """
    clips = source.clips[int(rng.random() < DEEPMIMIC_SHARE)]
    rows = rng.choice(clips.rows(source.split), 4)
    captured = turns_of(clips, rows)
    turns = captured[0].copy()
    stance = vary(clips, turns, rng, others=captured, changed=CHANGED_SHARE)
    shape = source.model.random_shape(rng)
    body = stand(source.model.pose(shape, clips, turns[None])[0], spot_m, yaw)
    seat_m = -body.joints_m[MUPOTS17.root, 1] - SEAT_BELOW_PELVIS_M
    stool = None
    if stance == "sit" and seat_m > LOWEST_SEAT_M:
        stool = make_prop(rng, "stool", spot_m + 0.06 * backwards(yaw), height_m=seat_m)
    return Actor(body, random_outfit(rng), clips.clip_of(int(rows[0]))), stool


def backwards(yaw: float) -> np.ndarray:
    """Return the direction (x, z) behind a person turned by `yaw` degrees."""
    return np.array([np.sin(np.radians(yaw)), np.cos(np.radians(yaw))])


def random_props(
    rng: np.random.Generator, camera: Camera, spots_m: np.ndarray, *, place: Place
) -> list[Prop]:
    """Return up to five random props in view that keep PROP_CLEARANCE_M from people at `spots_m` (N, 2)."""
    kinds = KINDS_INDOORS if place.indoors else KINDS_OUTDOORS
    limit_m = np.array(place.clear_m) + 0.4
    props: list[Prop] = []
    for _ in range(rng.integers(0, 6)):
        away = rng.uniform(2.2, 11)
        aside = away * rng.uniform(-0.55, 0.55) * camera.size[1] / camera.focal_px
        spot = np.array([aside, away])
        prop = make_prop(rng, str(rng.choice(kinds)), spot)
        others = [(other, prop.radius_m) for other in spots_m]
        others += [(other.spot_m, other.radius_m) for other in props]
        inside = abs(aside) + prop.radius_m < limit_m[0] and away + prop.radius_m < limit_m[1]
        if inside and far_enough(spot, others, PROP_CLEARANCE_M):
            props.append(prop)
    return props


def random_scene(
    source: PeopleSource,
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    count: int | None = None,
    view: View = ANY,
) -> Scene:
    """Return a random scene.

    Args:
        source: body model and clips.
        size: (height, width) of the picture.
        rng: the only source of randomness.
        count: number of people; None draws from the view, or 1 to 6 by PEOPLE_WEIGHTS.
        view: of the set.
    """
    if count is None and view.people is not None:
        count = int(rng.integers(view.people[0], view.people[1] + 1))
    elif count is None:
        count = 1 + int(rng.choice(len(PEOPLE_WEIGHTS), p=PEOPLE_WEIGHTS))
    place = random_place(rng, str(rng.choice(view.places)) if view.places else None)
    layout = random_layout(rng, size, count, clear_m=place.clear_m, view=view)
    light = random_light(rng, layout.camera.rotation, place.indoors)
    props = random_props(rng, layout.camera, layout.spots_m, place=place)
    actors = []
    for spot, yaw in zip(layout.spots_m, layout.yaws, strict=True):
        actor, stool = random_actor(source, rng, spot, yaw=yaw)
        actors.append(actor)
        props += [stool] if stool is not None else []
    stage = Stage(source.model.surface, layout.camera, light)
    picture, truths = render_scene(place, props, actors, stage=stage)
    return Scene(random_exposure(rng).apply(picture, rng), truths, layout.camera)


def scene_record(file: str, scene: Scene) -> Record:
    """Return the record of one picture in a truth file."""
    camera = scene.camera
    return {
        "file": file,
        "size": list(camera.size),
        "focal_px": round(camera.focal_px, 3),
        "principal_px": list(camera.principal_px),
        "people": [truth.to_dict() for truth in scene.truths],
    }
