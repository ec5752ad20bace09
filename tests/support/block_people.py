"""A body model of a few boxes: scenes can be rendered without the package anny or motion capture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from toolkit.runtime.pose import MUPOTS17
from toolkit.training.motion.clips import Clips
from toolkit.training.motion.retarget import TO_BODY_AXES
from toolkit.training.motion.turns import joint_index
from toolkit.training.render.bodies import ARM, FOOT, HEAD, LEG, TO_VIEW, TORSO, Body, Surface
from toolkit.training.render.props import box

# View axes in m: y down, hips at 0. Low corner, high corner, part, position along the arm and the torso.
BLOCKS = (
    ((-0.18, -0.5, -0.1), (0.18, 0.0, 0.1), TORSO, 0.0, 0.5),
    ((-0.1, -0.8, -0.13), (0.1, -0.55, 0.1), HEAD, 0.0, 1.1),
    ((-0.3, -0.5, -0.06), (-0.2, -0.2, 0.06), ARM, 0.4, 0.5),
    ((-0.3, -0.2, -0.06), (-0.2, 0.1, 0.06), ARM, 1.4, 0.5),
    ((0.2, -0.5, -0.06), (0.3, -0.2, 0.06), ARM, 0.4, 0.5),
    ((0.2, -0.2, -0.06), (0.3, 0.1, 0.06), ARM, 1.4, 0.5),
    ((-0.17, 0.0, -0.08), (-0.03, 0.85, 0.08), LEG, 0.0, -1.0),
    ((0.03, 0.0, -0.08), (0.17, 0.85, 0.08), LEG, 0.0, -1.0),
    ((-0.17, 0.85, -0.18), (-0.03, 0.92, 0.08), FOOT, 0.0, -2.0),
    ((0.03, 0.85, -0.18), (0.17, 0.92, 0.08), FOOT, 0.0, -2.0),
)
RIGHT_JOINTS = {
    "shoulder": (-0.18, -0.45, 0.0),
    "elbow": (-0.25, -0.2, 0.0),
    "wrist": (-0.25, 0.05, 0.0),
    "hip": (-0.1, 0.0, 0.0),
    "knee": (-0.1, 0.42, 0.0),
    "ankle": (-0.1, 0.83, 0.0),
}
TRUNK_JOINTS = {"pelvis": 0.0, "spine": -0.25, "neck": -0.52, "head": -0.65, "head_top": -0.8}


class BlockPeople:
    """Stands in for `BodyModel`: a person of boxes who turns with the hips."""

    def __init__(self) -> None:
        meshes = [box(np.array(low), np.array(high)) for low, high, *_ in BLOCKS]
        starts = np.cumsum([0] + [len(mesh[0]) for mesh in meshes])
        per_vertex = np.repeat(np.array([block[2:] for block in BLOCKS], float), np.diff(starts), axis=0)
        rest = np.concatenate([mesh[0] for mesh in meshes])
        self.surface = Surface(
            faces=np.concatenate([mesh[2] + start for mesh, start in zip(meshes, starts[:-1], strict=True)]),
            parts=per_vertex[:, 0].astype(np.int64),
            arm=per_vertex[:, 1],
            trunk=per_vertex[:, 2],
            rest=rest,
        )
        joints = {name: np.array([0.0, y, 0.0]) for name, y in TRUNK_JOINTS.items()}
        for joint, place in RIGHT_JOINTS.items():
            joints[f"right_{joint}"] = np.array(place)
            joints[f"left_{joint}"] = np.array(place) * (-1, 1, 1)
        self.joints = np.stack([joints[name] for name in MUPOTS17.names])

    def random_shape(self, rng: np.random.Generator) -> dict[str, float]:
        return {"height": float(rng.uniform(0.9, 1.1))}

    def pose(self, shape: dict[str, float], motion: Clips, turns: np.ndarray) -> list[Body]:
        hips = turns[:, joint_index(motion, "hips")]
        return [
            Body(shape["height"] * self.surface.rest @ turn.T, shape["height"] * self.joints @ turn.T)
            for turn in TO_VIEW @ hips @ TO_VIEW.T
        ]


def strolling_clips(standing: Clips, frames: int = 40) -> Clips:
    """The upright clip, `frames` long at 30 frames per second, at walking pace and turning a little."""
    angle = np.linspace(0, 0.4, frames)
    quaternion = np.stack([np.cos(angle / 2), 0 * angle, np.sin(angle / 2), 0 * angle], -1)
    rotations = np.repeat(standing.rotations[:1], frames, 0)
    rotations[:, 0] = quaternion
    # The body's front is -y of its axes.
    ahead = np.array([0.0, -1.0, 0.0]) @ TO_BODY_AXES[standing.kind]
    return replace(
        standing,
        starts=np.array([0, frames]),
        rotations=rotations,
        root_m=np.arange(frames)[:, None] / 30 * ahead,
    )
