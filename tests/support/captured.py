"""Motion capture that tests make themselves: people who walk and wave about a standing pose."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from toolkit.runtime.decoding.kinematics import forward_kinematics
from toolkit.runtime.pose import MUPOTS17

# Unit bone directions of a standing person, arms slightly out, by the joint at the end; torso frame.
STANDING = {
    "spine": (0, 1, 0), "neck": (0, 1, 0), "head": (0, 1, 0.1), "head_top": (0, 1, 0),
    "right_shoulder": (-1, 0, 0), "right_elbow": (-0.3, -1, 0), "right_wrist": (-0.2, -1, 0.3),
    "left_shoulder": (1, 0, 0), "left_elbow": (0.3, -1, 0), "left_wrist": (0.2, -1, 0.3),
    "right_hip": (-1, 0, 0), "right_knee": (0, -1, 0.05), "right_ankle": (0, -1, -0.05),
    "left_hip": (1, 0, 0), "left_knee": (0, -1, 0.05), "left_ankle": (0, -1, -0.05),
}  # fmt: skip
LIMBS = ("elbow", "wrist", "knee", "ankle")


def standing() -> np.ndarray:
    """Return the bone directions (16, 3) of the standing pose."""
    directions = np.array([STANDING[MUPOTS17.names[joint]] for joint in MUPOTS17.bones], np.float32)
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def captured_poses(count: int, seed: int = 0) -> np.ndarray:
    """Return bone directions (N, 16, 3) in torso frames, with limbs swung by two numbers a pose."""
    rng = np.random.default_rng(seed)
    directions = np.repeat(standing()[None], count, 0)
    swing = rng.uniform(-0.8, 0.8, (count, 2))
    for index, joint in enumerate(MUPOTS17.bones):
        side, _, limb = MUPOTS17.names[joint].partition("_")
        if limb in LIMBS:
            directions[:, index, 2] += swing[:, 0] * (1 if side == "left" else -1) + 0.3 * swing[:, 1]
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


def write_mocap(folder: Path, frames: int = 120) -> Path:
    """Write one file of six clips, two per split, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    joints_m = forward_kinematics(captured_poses(6 * frames), MUPOTS17) / 1000
    np.savez(
        folder / "walks.npz",
        joints17=joints_m.astype(np.float16),
        starts=np.arange(7) * frames,
        split=np.array(["train", "train", "val", "val", "test", "test"]),
    )
    return folder
