"""Retargeting: from the joint rotations of motion capture to the bone orientations of a body.

A turn is the world rotation of a joint relative to the neutral stance (upright, straight legs). Turns are
expressed in the body's axes: x to the person's left, y to the back, z up. They are independent of the
skeleton, so poses are edited and mixed as turns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .clips import Clips

# Rotations from the axes of the clips to the body's axes (left, back, up).
TO_BODY_AXES = {
    "cmu": np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float64),
    "deepmimic": np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0]], np.float64),
}
SIDES = ("Left", "Right")
_TRUNK = ("Hips", "LHipJoint", "RHipJoint", "LowerBack", "Spine", "Spine1", "Neck", "Neck1", "Head")
_LIMBS = tuple(
    side + bone
    for side in SIDES
    for bone in ("UpLeg", "Leg", "Foot", "ToeBase", "Shoulder", "Arm", "ForeArm")
)
_DEEPMIMIC_LIMBS = {
    side + bone: f"{side.lower()}_{joint}"
    for side in SIDES
    for bone, joint in (
        ("UpLeg", "hip"),
        ("Leg", "knee"),
        ("Foot", "ankle"),
        ("Arm", "shoulder"),
        ("ForeArm", "elbow"),
    )
}
_CMU_DRIVERS = {bone: bone for bone in (*_TRUNK, *_LIMBS)}
# In the CMU skeleton the wrist bends at the finger base.
_CMU_DRIVERS |= {"LeftHand": "LeftFingerBase", "RightHand": "RightFingerBase"}
_DEEPMIMIC_TRUNK = {
    "Hips": "root",
    "LowerBack": "root",
    "Spine": "chest",
    "Spine1": "chest",
    "Neck": "chest",
    "Neck1": "neck",
    "Head": "neck",
}
# Bone of the body -> joint of the clips that drives it; bones that are missing here follow their parent.
DRIVERS: dict[str, dict[str, str]] = {
    "cmu": _CMU_DRIVERS,
    "deepmimic": _DEEPMIMIC_TRUNK | _DEEPMIMIC_LIMBS,
}
# Head of a bone -> joint at the same position, where their names differ.
PLACES: dict[str, dict[str, str]] = {
    "cmu": {},
    "deepmimic": {**DRIVERS["deepmimic"], "LeftHand": "left_wrist", "RightHand": "right_wrist"},
}
LIMB_ENDS = {
    side + a: side + b
    for side in SIDES
    for a, b in (("UpLeg", "Leg"), ("Leg", "Foot"), ("Arm", "ForeArm"), ("ForeArm", "Hand"))
}


def quaternion_matrices(quaternions: np.ndarray) -> np.ndarray:
    """Return rotation matrices (..., 3, 3) of quaternions (..., 4), w first and of any length."""
    q = np.asarray(quaternions, np.float64)
    w, x, y, z = np.moveaxis(q / np.linalg.norm(q, axis=-1, keepdims=True), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def forward(
    rotations: np.ndarray, offsets: np.ndarray, parents: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Run forward kinematics.

    Args:
        rotations: (F, J, 4) local quaternions, w first.
        offsets: (J, 3) joints in the frame of their parent, metres.
        parents: (J,) indices, parents first.

    Returns:
        World rotations (F, J, 3, 3) and root-relative positions (F, J, 3) in metres.
    """
    local = quaternion_matrices(rotations)
    world, places = np.empty_like(local), np.zeros(local.shape[:-1])
    for joint, parent in enumerate(parents):
        if parent < 0:
            world[:, joint] = local[:, joint]
            continue
        world[:, joint] = world[:, parent] @ local[:, joint]
        places[:, joint] = places[:, parent] + world[:, parent] @ np.asarray(offsets[joint], np.float64)
    return world, places


def shortest_rotation(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the smallest rotation (3, 3) from direction `start` to `end`, by Rodrigues' formula.

    It is undefined for opposite directions.
    """
    a, b = start / np.linalg.norm(start), end / np.linalg.norm(end)
    x, y, z = np.cross(a, b)
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + k + k @ k / max(1 + a @ b, 1e-6)


def turns_of(motion: Clips, rows: np.ndarray) -> np.ndarray:
    """Return the turns (F, J, 3, 3) of the joints of `motion` in frames `rows`."""
    axes = TO_BODY_AXES[motion.kind]
    world, _ = forward(motion.rotations[rows], motion.offsets, motion.parents)
    neutral, _ = forward(motion.neutral_rotations[None], motion.offsets, motion.parents)
    return axes @ world @ np.swapaxes(neutral, -1, -2) @ axes.T


def neutral_places(motion: Clips) -> np.ndarray:
    """Return the joint positions (J, 3) of the neutral stance, metres, body axes, root at 0."""
    return (
        forward(motion.neutral_rotations[None], motion.offsets, motion.parents)[1][0]
        @ TO_BODY_AXES[motion.kind].T
    )


def bone_orientations(
    motion: Clips,
    turns: np.ndarray,
    bones: Sequence[str],
    *,
    parents: Sequence[int],
    rest_heads: np.ndarray,
    rest_axes: np.ndarray,
) -> np.ndarray:
    """Return the world orientations of the bones of a body in the given poses.

    The rest pose of the body differs from the neutral stance of the clips. Limb bones therefore first swing
    from their rest direction onto the neutral one. Posed limbs then point exactly along those of the clips.

    Args:
        motion: the clips, for their skeleton.
        turns: (F, J, 3, 3) of the joints of the clips.
        bones: names of the body's B bones.
        parents: (B,) index of the parent of each bone, -1 for the root, parents first.
        rest_heads: (B, 3) bone heads in the rest pose, body axes.
        rest_axes: (B, 3, 3) bone orientations in the rest pose.

    Returns:
        (F, B, 3, 3).
    """
    bones, drivers, places = list(bones), DRIVERS[motion.kind], neutral_places(motion)
    joints = list(motion.joint_names)
    head_of = {
        bone: joints.index(place)
        for bone in bones
        if (place := PLACES[motion.kind].get(bone, bone)) in joints
    }
    world: list[np.ndarray] = []
    for index, bone in enumerate(bones):
        if bone not in drivers:
            world.append(world[parents[index]])
            continue
        turn = turns[:, joints.index(drivers[bone])]
        limb = bone.replace("Hand", "ForeArm") if bone.endswith("Hand") else bone
        if limb in LIMB_ENDS:
            end = LIMB_ENDS[limb]
            rest = rest_heads[bones.index(end)] - rest_heads[bones.index(limb)]
            turn = turn @ shortest_rotation(rest, places[head_of[end]] - places[head_of[limb]])
        world.append(turn)
    return np.stack([world[index] @ rest_axes[index] for index in range(len(bones))], axis=1)
