"""People with exact joints: the Anny body (Apache-2.0 code, CC0 data), shaped at random and posed by motion capture.

Bodies are in metres, x right, y down, z away from the viewer; unturned they face the viewer, the hips at the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import PosecError
from ...runtime.pose import MUPOTS17
from ..motion.clips import Clips
from ..motion.retarget import SIDES, bone_orientations

PARTS = ("torso", "head", "arm", "hand", "leg", "foot")
TORSO, HEAD, ARM, HAND, LEG, FOOT = range(len(PARTS))
_PART_OF_BONE = {"Hips": TORSO, "LHipJoint": TORSO, "RHipJoint": TORSO, "LowerBack": TORSO, "Spine": TORSO, "Spine1": TORSO, "Neck": TORSO,
                 "Neck1": TORSO, "Head": HEAD}  # fmt: skip
_PART_OF_LIMB = {
    "Shoulder": TORSO,
    "Arm": ARM,
    "ForeArm": ARM,
    "UpLeg": LEG,
    "Leg": LEG,
    "Foot": FOOT,
    "ToeBase": FOOT,
}
_SKULL_TOP = 881
_HEAD_ON_AXIS = 0.456
# From the body's axes (left, back, up) to the viewer's (right, down, away) for somebody who faces the viewer.
TO_VIEW = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float64)


@dataclass(frozen=True)
class Surface:
    """What all bodies share: V vertices and what they belong to.

    Attributes:
        faces: (T, 3) vertex indices; front faces wind anticlockwise as seen in a picture with y down.
        parts: (V,) index into PARTS.
        arm: (V,) along the arms: 0 shoulder and all else, 1 elbow, 2 wrist, beyond on the hands.
        trunk: (V,) along trunk and legs: 1 neck, 0 hips, -1 knees, -2 ankles, below on the feet.
        rest: (V, 3) metres at rest, view axes, for patterns that stick to the body.
    """

    faces: np.ndarray
    parts: np.ndarray
    arm: np.ndarray
    trunk: np.ndarray
    rest: np.ndarray


@dataclass(frozen=True)
class Body:
    """One body at one instant: surface `vertices_m` (V, 3) and `joints_m` (17, 3) in the order of MUPOTS17."""

    vertices_m: np.ndarray
    joints_m: np.ndarray


class BodyModel:
    """The Anny body on the bones of the CMU motion capture."""

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
        rest, _, heads = self._rest(dict.fromkeys(self._model.phenotype_labels, 0.5))
        weights, bones = self._model.vertex_bone_weights.numpy(), self._model.vertex_bone_indices.numpy()
        bone = bones[np.arange(len(rest)), weights.argmax(1)]
        parts, arm, trunk = np.empty(len(rest), np.int64), np.zeros(len(rest)), np.empty(len(rest))
        at = {name: heads[index] for index, name in enumerate(self.bones)}
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

    def _rest(self, shape: dict[str, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        with self._torch.no_grad():
            rest = self._model(
                phenotype_kwargs={name: self._torch.tensor([value]) for name, value in shape.items()}
            )
        vertices, axes, heads = (
            rest[name][0].double().numpy() for name in ("rest_vertices", "rest_bone_poses", "rest_bone_heads")
        )
        return vertices, axes[:, :3, :3], heads

    def random_shape(self, rng: np.random.Generator) -> dict[str, float]:
        """Return shape parameters of a teenager or adult, slim to stout, about 1.5 to 2 m tall."""
        shape = {name: float(rng.uniform(0.2, 0.8)) for name in self._model.phenotype_labels}
        shape["gender"] = float(rng.uniform(0, 1) if rng.random() < 0.5 else rng.integers(2))
        shape["age"] = float(rng.uniform(0.58, 0.85) if rng.random() < 0.93 else rng.uniform(0.42, 0.58))
        shape["height"] = float(np.clip(rng.normal(0.43, 0.09), 0.25, 0.65))
        return shape

    def pose(self, shape: dict[str, float], motion: Clips, turns: np.ndarray) -> list[Body]:
        """Return the bodies of one person in the poses `turns` (F, J, 3, 3) of the joints of `motion`."""
        torch = self._torch
        _, rest_axes, rest_heads = self._rest(shape)
        pose = np.tile(np.eye(4), (len(turns), len(self.bones), 1, 1))
        pose[:, :, :3, :3] = bone_orientations(motion, turns, self.bones, self.parents, rest_heads, rest_axes)
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
    """Return how far points (N, 3) are along the limb of joints `chain`, in bones; measured on the bone that starts at `step`."""
    bone = chain[step + 1] - chain[step]
    return step + (points - chain[step]) @ bone / (bone @ bone)
