"""People who walk before two synthetic cameras, as exact sightings or with noise."""

from __future__ import annotations

import numpy as np
from upright_people import upright

from toolkit.adaptation.sightings import Sightings
from toolkit.runtime.decoding.intrinsics import pinhole
from toolkit.runtime.decoding.kinematics import forward_kinematics
from toolkit.runtime.pose import MUPOTS17, PoseFrame
from toolkit.runtime.views.camera_poses import FIRST, CameraPose

SIZE = (360, 640)
FOCAL_PX = 500.0


def about_y(degrees: float) -> np.ndarray:
    turn = np.radians(degrees)
    return np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])


# The second camera is 2.6 m to the right and ahead, and looks back to the left.
POSES = [FIRST, CameraPose(about_y(-70), np.array([3000.0, -200.0, 1800.0]), 0.0, FOCAL_PX)]


def walk(seconds: np.ndarray, phase: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Roots (T, 3) and joints (T, 17, 3) in the first camera's frame of a person who turns and swings."""
    roots, joints = [], []
    for at in seconds + phase:
        bones = upright(arm=60 + 55 * np.sin(2.1 * at)).copy()
        for row, joint in enumerate(MUPOTS17.bones):
            if MUPOTS17.names[joint] in ("left_knee", "left_ankle"):
                bones[row] = [0, np.cos(0.5 * np.sin(1.7 * at)), np.sin(0.5 * np.sin(1.7 * at))]
        bones = bones @ about_y(80 * np.sin(0.31 * at) + 40 * np.sin(0.83 * at)).T
        joints.append(forward_kinematics(bones[None].astype(np.float32), MUPOTS17)[0])
        roots.append([700 * np.sin(0.4 * at), 100.0, 3500 + 800 * np.sin(0.27 * at + 1)])
    return np.array(roots, float), np.array(joints, float)


def seen(people: list[tuple[np.ndarray, np.ndarray]], pose: CameraPose, noise: float = 0.0, seed: int = 0):
    """People of one instant, (root, joints) in the first camera's frame, as a camera sees them.

    `noise` 1 is that of a network: joints by 50 mm, pixels by 2, distances by 10 %.
    """
    rng = np.random.default_rng(seed)
    roots = np.array([(root - pose.position_mm) @ pose.rotation for root, _ in people]).reshape(-1, 3)
    joints = np.array([joint @ pose.rotation for _, joint in people]).reshape(-1, 17, 3)
    places = joints + roots[:, None]
    pixels = FOCAL_PX * places[..., :2] / places[..., 2:] + [(SIZE[1] - 1) / 2, (SIZE[0] - 1) / 2]
    pixels = pixels + 2 * noise * rng.normal(size=pixels.shape)
    joints = joints + 50 * noise * rng.normal(size=joints.shape)
    joints = joints - joints[:, [MUPOTS17.root]]
    roots = roots * (1 + 0.1 * noise * rng.normal(size=(len(roots), 1)))
    arrays = (np.full(len(roots), 0.9), pixels[:, [1, 14]].mean(axis=1), joints, roots, pixels)
    return PoseFrame(*(np.asarray(values, np.float32) for values in arrays))


def sightings(
    pose: CameraPose,
    *,
    frames: int = 90,
    fps: float = 6.0,
    start_s: float = 0.0,
    phases: tuple[float, ...] = (0.0,),
    noise: float = 0.0,
    name: str = "a.mp4",
) -> Sightings:
    """A camera's video of people who walk; it begins `start_s` after the motion."""
    seconds = np.arange(frames) / fps
    walks = [walk(seconds + start_s, phase) for phase in phases]
    people = tuple(
        seen([(roots[t], joints[t]) for roots, joints in walks], pose, noise, seed=t + 1000 * ord(name[0]))
        for t in range(frames)
    )
    return Sightings(name, people, seconds, SIZE, pinhole(FOCAL_PX, SIZE))
