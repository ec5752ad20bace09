"""Edits of turns (see `retarget.py`): rotations, joints by body part, rigid rotation of limbs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .clips import Clips

# Joint names of each skeleton by body part; the side replaces the braces.
_CMU_JOINTS = {
    "hips": "Hips",
    "chest": "Spine",
    "neck": "Neck",
    "UpLeg": "{}UpLeg",
    "Leg": "{}Leg",
    "Foot": "{}Foot",
    "Collar": "{}Shoulder",
    "Arm": "{}Arm",
    "ForeArm": "{}ForeArm",
    "Hand": "{}Hand",
}
_DEEPMIMIC_JOINTS = {
    "hips": "root",
    "chest": "chest",
    "neck": "neck",
    "UpLeg": "{}_hip",
    "Leg": "{}_knee",
    "Foot": "{}_ankle",
    "Collar": "{}_shoulder",
    "Arm": "{}_shoulder",
    "ForeArm": "{}_elbow",
    "Hand": "{}_wrist",
}
_JOINTS = {"cmu": _CMU_JOINTS, "deepmimic": _DEEPMIMIC_JOINTS}


def about(axis: str, degrees: float) -> np.ndarray:
    """Return the rotation (3, 3) by an angle about a coordinate axis, "x", "y" or "z"."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rows = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(rows[axis], np.float64)


def joint_index(motion: Clips, part: str, side: str = "") -> int:
    """Return the index of the joint where a body part begins.

    Args:
        motion: the clips, for their skeleton.
        part: hips, chest or neck; with a side also UpLeg, Leg, Foot, Collar, Arm, ForeArm or Hand.
        side: "Left" or "Right".
    """
    name = _JOINTS[motion.kind][part].format(side if motion.kind == "cmu" else side.lower())
    return list(motion.joint_names).index(name)


def descendants(parents: Sequence[int], joint: int) -> list[int]:
    """Return a joint and all joints below it; parents come before their children."""
    below = {joint}
    for child in range(joint + 1, len(parents)):
        if parents[child] in below:
            below.add(child)
    return sorted(below)


def turn_to(motion: Clips, turns: np.ndarray, joint: int, *, target: np.ndarray) -> None:
    """Set the turn of a joint to `target` (3, 3); all joints below it follow rigidly."""
    below = descendants(motion.parents, joint)
    turns[below] = (target @ turns[joint].T) @ turns[below]


def heading(turn: np.ndarray) -> np.ndarray:
    """Return the rotation about the vertical axis with the same heading as a turn (3, 3)."""
    front = turn @ [0.0, -1.0, 0.0]
    return about("z", np.degrees(np.arctan2(front[0], -front[1])))
