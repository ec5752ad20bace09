"""Motion of a standing person who walks and swings arms and legs, without motion capture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from standing_people import standing

from toolkit.runtime.pose import MUPOTS17
from toolkit.training.temporal.error_model import KEYPOINTS, PARTS, SIZE, ErrorModel, conditions
from toolkit.training.temporal.motion import MotionClip, MotionSource
from toolkit.training.temporal.truth import Truth

FPS = 30.0
LEVEL = 0.05  # standard deviation of each part of an error


def swinging(frames: int = 200, seed: int = 0) -> np.ndarray:
    """Return joints (F, 17, 3) in metres, y down, pelvis 0.9 m above the ground."""
    rng = np.random.default_rng(seed)
    bones = (
        np.diff(np.stack([standing()[list(_parents())], standing()[list(MUPOTS17.bones)]]), axis=0)[0] / 1000
    )
    seconds = np.arange(frames)[:, None] / FPS
    angles = 0.6 * np.sin(2 * np.pi * 0.7 * seconds + rng.uniform(0, 6, len(bones)))
    turned = np.repeat(bones[None], frames, 0)
    turned[..., 1] = bones[:, 1] * np.cos(angles)
    turned[..., 2] = bones[:, 1] * np.sin(angles)
    joints = np.zeros((frames, 17, 3))
    for index, joint in enumerate(MUPOTS17.bones):
        joints[:, joint] = joints[:, MUPOTS17.parents[joint]] + turned[:, index]
    return joints + np.concatenate([0.5 * seconds, np.full_like(seconds, -0.9), 0 * seconds], 1)[:, None]


def _parents() -> tuple[int, ...]:
    return tuple(MUPOTS17.parents[joint] for joint in MUPOTS17.bones)


def motion_source(clips: int = 3) -> MotionSource:
    """Return a source of a few random swings."""
    return MotionSource([MotionClip(swinging(seed=seed), FPS) for seed in range(clips)])


def plain_errors(shares: tuple[float, ...] = (0, 0, 1.0, 0), level: float = LEVEL) -> ErrorModel:
    """Return a model of independent errors without bias; pulls and scores are 0.6 on average."""
    ends = np.cumsum(list(PARTS.values()))
    size = conditions(_one_truth()).shape[1]
    bias = np.zeros((size, SIZE))
    bias[-1, ends[4] :] = 0.6
    components = level * np.eye(SIZE)
    components[ends[4] :] = 0
    nothing = np.zeros(2)
    return ErrorModel(
        bias=bias,
        components=components,
        shares=np.tile(shares, (SIZE, 1)),
        by_size=np.ones(4),
        by_view=np.ones(4),
        track_spread=nothing,
        fast_level=np.zeros(()),
        flips=nothing,
        misses=nothing,
        swaps=nothing,
        flipped_keypoints=np.zeros(()),
    )


def _one_truth() -> Truth:
    from toolkit.training.temporal.truth import truth_of

    return truth_of(swinging(1) + np.array([0, 1.0, 4.0]), np.full(1, 500.0), np.zeros(2))


def write_mocap(folder: Path) -> Path:
    """Write cmu.npz and deepmimic.npz with a swinging clip for each split, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = ("train", "train", "val", "test")
    joints = [swinging(120, seed) * [1, -1, -1] for seed in range(len(splits))]
    roots = np.concatenate([own[:, MUPOTS17.root] for own in joints])
    for kind in ("cmu", "deepmimic"):
        np.savez(
            folder / f"{kind}.npz",
            clips=np.array([f"swing {index}" for index in range(len(splits))]),
            split=np.array(splits),
            starts=np.arange(len(splits) + 1) * 120,
            fps=np.float32(FPS),
            rotations=np.tile(np.float32([1, 0, 0, 0]), (len(roots), 1, 1)),
            root=roots.astype(np.float32),
            joints17=(np.concatenate(joints) - roots[:, None]).astype(np.float32),
            offsets=np.zeros((1, 3), np.float32),
            parents=np.array([-1]),
            joint_names=np.array(["root"]),
            neutral_rotations=np.float32([[1, 0, 0, 0]]),
        )
    return folder


__all__ = ["FPS", "KEYPOINTS", "LEVEL", "motion_source", "plain_errors", "swinging", "write_mocap"]
