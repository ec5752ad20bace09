"""Standing people of known size, for every test that needs PoseFrames without a network."""

from __future__ import annotations

import numpy as np

from toolkit.runtime.pose import MUPOTS17, PoseFrame


def standing() -> np.ndarray:
    """A person (17, 3) in mm with arms along the body, pelvis at 0."""
    joints = np.zeros((17, 3), np.float32)
    for bone, joint in enumerate(MUPOTS17.bones):
        name = MUPOTS17.names[joint]
        side = -1 if name.startswith("right") else 1 if name.startswith("left") else 0
        sideways = "shoulder" in name or "hip" in name
        down = 1 if any(part in name for part in ("knee", "ankle", "elbow", "wrist")) else -1
        direction = np.array([side, 0, 0] if sideways else [0, down, 0], np.float32)
        joints[joint] = joints[MUPOTS17.parents[joint]] + MUPOTS17.bone_lengths_mm[bone] * direction
    return joints


def people_at(
    *centres_px: tuple[float, float], px_per_mm: float = 0.1, pose: np.ndarray | None = None
) -> PoseFrame:
    """Standing people whose pelvis is drawn at the given points."""
    pose = standing() if pose is None else pose
    count = len(centres_px)
    joints_mm = np.repeat(pose[None], count, axis=0).reshape(count, 17, 3).astype(np.float32)
    centres = np.array(centres_px, np.float32).reshape(count, 2)
    joints_px = centres[:, None] + px_per_mm * joints_mm[..., :2]
    roots_mm = np.concatenate([centres * 10, np.full((count, 1), 3000, np.float32)], axis=1).astype(
        np.float32
    )
    scores = np.linspace(0.9, 0.5, count).astype(np.float32)
    return PoseFrame(scores, joints_px[:, [1, 14]].mean(axis=1), joints_mm, roots_mm, joints_px)
