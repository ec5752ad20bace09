"""Motion capture before random cameras: true joints of one person over time, at any frame rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...runtime.pose import MUPOTS17
from ..motion.clips import KINDS, read_clips
from ..motion.mocap import read_joints
from ..motion.turns import about

PICTURE = (360, 640)
FIELDS_OF_VIEW = (40.0, 75.0)  # degrees
NEAREST_M, FARTHEST_M = 1.8, 9.0
SLOWEST_HZ, FASTEST_HZ = 10.0, 60.0
# Captured positions have 16 bits; their rounding would dominate accelerations at 60 Hz.
SMOOTHING = np.array([0.06, 0.24, 0.4, 0.24, 0.06])
STILL_SHARE = 0.08
MOVING_CAMERA_SHARE = 0.4


class MotionClip(NamedTuple):
    """Joints (F, 17, 3) of a captured clip in the world, metres, y down, at `fps`."""

    joints_m: np.ndarray
    fps: float


class View(NamedTuple):
    """One person before a camera in T frames: truth for the temporal stage.

    Attributes:
        joints_m: (T, 17, 3), camera frame.
        focal_px: of the camera; its principal point is the middle of PICTURE.
        seconds: (T,) since the frame before; the first one is that of the second.
    """

    joints_m: np.ndarray
    focal_px: float
    seconds: np.ndarray


@dataclass(frozen=True)
class MotionSource:
    """The clips of a split, drawn by their length."""

    clips: Sequence[MotionClip]

    def view(self, rng: np.random.Generator, frames: int, *, rate_hz: float | None = None) -> View:
        """Return a random stretch of a random clip before a random camera, at a random rate by default."""
        rate = np.exp(rng.uniform(np.log(SLOWEST_HZ), np.log(FASTEST_HZ))) if rate_hz is None else rate_hz
        lengths = np.array([len(clip.joints_m) for clip in self.clips], float)
        clip = self.clips[int(rng.choice(len(lengths), p=lengths / lengths.sum()))]
        speed = 0.05 if rng.random() < STILL_SHARE else rng.uniform(0.8, 1.25)
        steps = np.full(frames, speed * clip.fps / rate)
        joints = _resampled(clip.joints_m, rng.uniform(0, len(clip.joints_m) - 1) + np.cumsum(steps))
        if rng.random() < 0.5:
            joints = joints[:, list(MUPOTS17.mirror)] * [-1, 1, 1]
        view = _before_camera(joints, rng, frames=frames, rate=rate)
        return View(view.joints_m, view.focal_px, np.full(frames, 1 / rate))


def read_motion(folder: str | Path, split: str) -> MotionSource:
    """Return the clips of a split, from cmu.npz and deepmimic.npz of a folder. Raises PosecError."""
    found = []
    for kind in KINDS:
        clips = read_clips(folder, kind)
        joints = read_joints(Path(folder) / f"{kind}.npz").astype(np.float64) + clips.root_m[:, None]
        for index, own in enumerate(clips.splits):
            if own == split:
                stretch = joints[clips.starts[index] : clips.starts[index + 1]] * [1, -1, -1]
                found.append(MotionClip(_smoothed(stretch), clips.fps))
    return MotionSource(found)


def _smoothed(joints: np.ndarray) -> np.ndarray:
    padded = np.concatenate([joints[:1]] * 2 + [joints] + [joints[-1:]] * 2)
    parts = [weight * padded[lag : lag + len(joints)] for lag, weight in enumerate(SMOOTHING)]
    smoothed: np.ndarray = np.sum(parts, axis=0)
    return smoothed


def _resampled(joints: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return joints at fractional frames (T,), by uniform cubic B-splines; beyond the end, time runs back."""
    last = len(joints) - 1
    at = last - np.abs(last - np.abs(at) % (2 * last))
    whole = np.minimum(at.astype(int), last - 1)
    part = (at - whole)[:, None, None]
    weights = (
        (1 - part) ** 3,
        3 * part**3 - 6 * part**2 + 4,
        -3 * part**3 + 3 * part**2 + 3 * part + 1,
        part**3,
    )
    rows = [np.clip(whole + lag, 0, last) for lag in (-1, 0, 1, 2)]
    found: np.ndarray = sum(weight * joints[row] for weight, row in zip(weights, rows, strict=True)) / 6
    return found


def _before_camera(joints: np.ndarray, rng: np.random.Generator, *, frames: int, rate: float) -> View:
    """Return joints in the frame of a random camera that sees the person in the middle of the stretch."""
    width = PICTURE[1]
    focal = width / 2 / np.tan(np.radians(rng.uniform(*FIELDS_OF_VIEW)) / 2)
    middle = joints[frames // 2, MUPOTS17.root]
    joints = (joints - middle * [1, 0, 1]) @ about("y", rng.uniform(0, 360)).T
    away = np.exp(rng.uniform(np.log(NEAREST_M), np.log(FARTHEST_M)))
    aside = away * rng.uniform(-0.45, 0.45) * width / focal
    joints = joints + np.array([aside, rng.uniform(0.8, 2.8), away])  # y: height above the ground
    pitch = np.clip(rng.normal(8, 9), -15, 30)
    tilt = about("x", float(pitch)) @ about("z", float(rng.normal(0, 3)))
    turned = joints @ tilt.T
    if rng.random() < MOVING_CAMERA_SHARE:
        turned = _shaken(turned, rng, seconds=np.arange(frames) / rate)
    # A person who walks into the camera is moved away from it.
    short = NEAREST_M / 2 - turned[..., 2].min()
    return View(turned + np.array([0, 0, max(short, 0)]), float(focal), np.zeros(0))


def _shaken(joints: np.ndarray, rng: np.random.Generator, *, seconds: np.ndarray) -> np.ndarray:
    """Return joints (T, 17, 3) seen by a camera that pans, and shakes by a few slow sines."""
    angles = np.zeros((len(seconds), 3))
    for axis, pan in enumerate((2.0, 6.0, 0.5)):  # degrees per second: pitch, yaw, roll
        angles[:, axis] = pan * rng.normal() * (seconds - seconds.mean())
        for _ in range(3):
            wave = 2 * np.pi * rng.uniform(0.2, 3.0) * seconds + rng.uniform(0, 2 * np.pi)
            angles[:, axis] += 0.25 * rng.normal() * np.sin(wave)
    turns = np.stack([about("x", x) @ about("y", y) @ about("z", z) for x, y, z in angles])
    return joints @ turns.transpose(0, 2, 1)
