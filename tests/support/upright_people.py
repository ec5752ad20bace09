"""People of synthetic videos: a pose on MuPoTS-3D's skeleton at a place, and how it moves."""

import numpy as np

from toolkit.runtime.decoding.kinematics import forward_kinematics
from toolkit.runtime.pose import MUPOTS17, PoseFrame
from toolkit.runtime.temporal.evidence import Evidence

FOCAL_PX, CENTRE_PX = 500.0, np.array([320.0, 180.0])


def upright(arm=0.0):
    """Return the bone directions (B, 3) of a person upright, the right arm raised by `arm` degrees."""
    down = {
        "right_elbow",
        "right_wrist",
        "left_elbow",
        "left_wrist",
        "right_knee",
        "right_ankle",
        "left_knee",
        "left_ankle",
    }
    side = {"right_shoulder": -1, "right_hip": -1, "left_shoulder": 1, "left_hip": 1}
    bones = np.zeros((len(MUPOTS17.bones), 3), np.float32)
    for row, joint in enumerate(MUPOTS17.bones):
        name = MUPOTS17.names[joint]
        bones[row] = [side[name], 0, 0] if name in side else [0, 1 if name in down else -1, 0]
        if name in ("right_elbow", "right_wrist"):
            bones[row] = [-np.sin(np.radians(arm)), np.cos(np.radians(arm)), 0]
    return bones


def frame_of(*people, scores=None):
    """Return (PoseFrame, Evidence) of people given as (root in mm (3,), bone directions (B, 3))."""
    count = len(people)
    roots = np.array([root for root, _ in people], np.float32).reshape(-1, 3)
    bones = np.array([bone for _, bone in people], np.float32).reshape(count, len(MUPOTS17.bones), 3)
    joints_mm = forward_kinematics(bones, MUPOTS17)
    places = joints_mm + roots[:, None]
    joints_px = (FOCAL_PX * places[..., :2] / places[..., 2:] + CENTRE_PX).astype(np.float32)
    middle = [MUPOTS17.index("neck"), MUPOTS17.index("pelvis")]
    centres = joints_px[:, middle].mean(axis=1)
    scores = np.full(count, 0.9, np.float32) if scores is None else np.array(scores, np.float32)
    people_ = PoseFrame(scores, centres, np.ascontiguousarray(joints_mm, np.float32), roots, joints_px)
    rays = np.concatenate([(centres - CENTRE_PX) / FOCAL_PX, np.ones((count, 1))], axis=1).astype(np.float32)
    embeddings = bones.reshape(count, 3 * len(MUPOTS17.bones))[:, :32]
    by_bone, nothing = bones.transpose(0, 2, 1), np.zeros((count, 0), np.float32)
    px_per_m = 1000 * FOCAL_PX / roots[:, 2]
    fields = {"embeddings": embeddings, "poses": by_bone, "bones": by_bone, "rays": rays}
    fields |= {"rotations": np.zeros((count, 6), np.float32), "px_per_m": px_per_m, "pulls": nothing}
    fields["focal_px"] = FOCAL_PX
    return people_, Evidence(**{name: fields[name] for name in Evidence._fields})
