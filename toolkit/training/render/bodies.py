"""Bodies with exact joints: the Anny body model (Apache-2.0 code, CC0 data), posed by motion capture.

Bodies are in metres, x right, y down, z away from the viewer. Without rotation they face the viewer, with the
hips at the origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...errors import PosecError
from ...runtime.pose import MUPOTS17
from ..motion.clips import Clips
from ..motion.retarget import SIDES, bone_orientations

PARTS = ("torso", "head", "arm", "hand", "leg", "foot")
TORSO, HEAD, ARM, HAND, LEG, FOOT = range(len(PARTS))
_TRUNK_BONES = ("Hips", "LHipJoint", "RHipJoint", "LowerBack", "Spine", "Spine1", "Neck", "Neck1")
_PART_OF_BONE = {**dict.fromkeys(_TRUNK_BONES, TORSO), "Head": HEAD}
_PART_OF_LIMB = {
    "Shoulder": TORSO,
    "Arm": ARM,
    "ForeArm": ARM,
    "UpLeg": LEG,
    "Leg": LEG,
    "Foot": FOOT,
    "ToeBase": FOOT,
}
# Vertex at the top of the skull, and the share of the way from the head bone to it at which joint `head`
# lies.
_SKULL_TOP = 881
_HEAD_ON_AXIS = 0.456
# From the body's axes (left, back, up) to the viewer's (right, down, away) for a person facing the viewer.
TO_VIEW = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float64)


@dataclass(frozen=True)
class Surface:
    """The mesh that all bodies share, with V vertices.

    Attributes:
        faces: (T, 3) vertex indices; front faces wind anticlockwise in a picture with y down.
        parts: (V,) index into PARTS.
        arm: (V,) coordinate along the arms: 0 shoulder and trunk, 1 elbow, 2 wrist, above 2 on the hands.
        trunk: (V,) coordinate along trunk and legs: 1 neck, 0 hips, -1 knees, -2 ankles, below -2 on the
            feet.
        rest: (V, 3) rest pose in metres, view axes; patterns of cloth are functions of it.
    """

    faces: np.ndarray
    parts: np.ndarray
    arm: np.ndarray
    trunk: np.ndarray
    rest: np.ndarray


@dataclass(frozen=True)
class Body:
    """One body in one frame.

    Attributes:
        vertices_m: (V, 3) of the surface.
        joints_m: (17, 3) in the order of MUPOTS17.
    """

    vertices_m: np.ndarray
    joints_m: np.ndarray


class RestPose(NamedTuple):
    """The rest pose of one shape, body axes (left, back, up)."""

    vertices: np.ndarray  # (V, 3) metres
    bone_axes: np.ndarray  # (B, 3, 3)
    bone_heads: np.ndarray  # (B, 3) metres


class BodyModel:
    """The Anny body with the skeleton of the CMU motion capture."""

    def __init__(self) -> None:
        try:
            import anny
            import torch
        except ImportError as error:
            raise PosecError(
                "synthetic people need the body model: pip install 'posec[train]' (package anny)"
            ) from error
        self._torch = torch
        self._model = anny.Anny(rig="cmu_mb", topology="anny").float()
        self.bones: list[str] = list(self._model.bone_labels)
        self.parents: list[int] = list(self._model.bone_parents)
        self.surface = self._read_surface()

    def _read_surface(self) -> Surface:
        rest, _, bone_heads = self._rest(dict.fromkeys(self._model.phenotype_labels, 0.5))
        weights, bones = self._model.vertex_bone_weights.numpy(), self._model.vertex_bone_indices.numpy()
        bone = bones[np.arange(len(rest)), weights.argmax(1)]
        parts, arm, trunk = np.empty(len(rest), np.int64), np.zeros(len(rest)), np.empty(len(rest))
        at = {name: bone_heads[index] for index, name in enumerate(self.bones)}
        low, high = at["LeftUpLeg"][2], at["Neck"][2]
        trunk[:] = (rest[:, 2] - low) / (high - low)
        for index, name in enumerate(self.bones):
            own = bone == index
            limb = name.replace("Left", "").replace("Right", "")
            parts[own] = part = _PART_OF_BONE.get(name, _PART_OF_LIMB.get(limb, HAND))
            side = "Left" if name.startswith("L") else "Right"
            if part in (ARM, HAND):
                arm[own] = _along(
                    [at[side + joint] for joint in ("Arm", "ForeArm", "Hand")],
                    rest[own],
                    0 if limb == "Arm" else 1,
                )
            if part in (LEG, FOOT):
                trunk[own] = -_along(
                    [at[side + joint] for joint in ("UpLeg", "Leg", "Foot")],
                    rest[own],
                    0 if limb == "UpLeg" else 1,
                )
        return Surface(
            self._model.faces.numpy().astype(np.int64), parts, np.maximum(arm, 0), trunk, rest @ TO_VIEW.T
        )

    def _rest(self, shape: dict[str, float]) -> RestPose:
        phenotype = {name: self._torch.tensor([value]) for name, value in shape.items()}
        with self._torch.no_grad():
            rest = self._model(phenotype_kwargs=phenotype)
        names = ("rest_vertices", "rest_bone_poses", "rest_bone_heads")
        vertices, axes, heads = (rest[name][0].double().numpy() for name in names)
        return RestPose(vertices, axes[:, :3, :3], heads)

    def random_shape(self, rng: np.random.Generator) -> dict[str, float]:
        """Return random shape parameters of a teenager or adult, slim to heavy, about 1.5 to 2 m tall."""
        shape = {name: float(rng.uniform(0.2, 0.8)) for name in self._model.phenotype_labels}
        shape["gender"] = float(rng.uniform(0, 1) if rng.random() < 0.5 else rng.integers(2))
        shape["age"] = float(rng.uniform(0.58, 0.85) if rng.random() < 0.93 else rng.uniform(0.42, 0.58))
        shape["height"] = float(np.clip(rng.normal(0.43, 0.09), 0.25, 0.65))
        return shape

    def pose(self, shape: dict[str, float], motion: Clips, turns: np.ndarray) -> list[Body]:
        """Return the F bodies of one person.

        Args:
            shape: parameters, see `random_shape`.
            motion: the clips, for their skeleton.
            turns: (F, J, 3, 3) poses, see `retarget.turns_of`.
        """
        torch = self._torch
        _, rest_axes, rest_heads = self._rest(shape)
        pose = np.tile(np.eye(4), (len(turns), len(self.bones), 1, 1))
        pose[:, :, :3, :3] = bone_orientations(
            motion, turns, self.bones, parents=self.parents, rest_heads=rest_heads, rest_axes=rest_axes
        )
        shapes = {name: torch.full((len(turns),), value) for name, value in shape.items()}
        with torch.no_grad():
            posed = self._model(
                torch.tensor(pose, dtype=torch.float32), shapes, pose_parameterization="world-orient"
            )
        vertices = posed["vertices"].double().numpy() @ TO_VIEW.T
        heads = posed["bone_poses"][:, :, :3, 3].double().numpy() @ TO_VIEW.T
        return [Body(v, self._joints(v, h)) for v, h in zip(vertices, heads, strict=True)]

    def _joints(self, vertices: np.ndarray, heads: np.ndarray) -> np.ndarray:
        at = {name: heads[index] for index, name in enumerate(self.bones)}
        joints = {
            f"{side.lower()}_{joint}": at[side + bone]
            for side in SIDES
            for joint, bone in (
                ("shoulder", "Arm"),
                ("elbow", "ForeArm"),
                ("wrist", "Hand"),
                ("hip", "UpLeg"),
                ("knee", "Leg"),
                ("ankle", "Foot"),
            )
        }
        joints["pelvis"] = (at["LeftUpLeg"] + at["RightUpLeg"]) / 2
        joints["spine"] = at["Spine"]
        joints["neck"] = (at["LeftShoulder"] + at["RightShoulder"]) / 2
        joints["head_top"] = vertices[_SKULL_TOP]
        joints["head"] = at["Head"] + _HEAD_ON_AXIS * (joints["head_top"] - at["Head"])
        return np.stack([joints[name] for name in MUPOTS17.names])


def _along(chain: list[np.ndarray], points: np.ndarray, step: int) -> np.ndarray:
    """Return the coordinate of points (N, 3) along a limb, in bones, by projection onto bone `step`.

    Args:
        chain: joints of the limb, (3,) each.
        points: (N, 3).
        step: index of the joint where the bone begins.
    """
    bone = chain[step + 1] - chain[step]
    return step + (points - chain[step]) @ bone / (bone @ bone)
