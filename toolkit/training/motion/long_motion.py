"""Motion of any length and frame rate: pieces of clips, cross-faded at similar poses and resampled.

The capture is at 30 Hz. Between its frames the motion is a uniform cubic B-spline with the captured values as
control points (de Boor, 1978). It has continuous accelerations, and it smooths the rounding of the capture.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ...errors import PosecError
from .clips import Clips

SHORTEST_S, LONGEST_S = 0.8, 6.0
FADE_S = 0.4
TRIES = 150
_MARGIN = 2  # frames of the capture before and after, for the spline


class _Piece(NamedTuple):
    """Captured frames in sequence: local rotations (F, J, 4) and root positions (F, 3)."""

    rotations: np.ndarray
    root_m: np.ndarray


def long_motion(rng: np.random.Generator, clips: Clips, split: str, *, frames: int, fps: float) -> Clips:
    """Return a motion of `frames` frames at `fps` as the only clip of a Clips on the same skeleton.

    Its name lists the names of the clips that it consists of.

    Args:
        rng: the only source of randomness.
        clips: to take pieces from.
        split: only clips of this split are used.
        frames: number of frames.
        fps: frames per second.

    Raises PosecError if the split has no clip of `SHORTEST_S` seconds.
    """
    least = round(SHORTEST_S * clips.fps)
    rows, shares = _starts(clips, split, least)
    needed = int(np.ceil((frames - 1) * clips.fps / fps)) + 1 + 2 * _MARGIN
    row = int(rng.choice(rows, p=shares))
    motion, names = _take(rng, clips, row), [clips.clip_of(row)]
    while len(motion.root_m) < needed:
        row = _similar(clips, motion, candidates=rng.choice(rows, TRIES, p=shares))
        motion = _join(motion, _take(rng, clips, row), fade=round(FADE_S * clips.fps))
        names.append(clips.clip_of(row))
    times = _MARGIN + np.arange(frames) * clips.fps / fps
    return replace(
        clips,
        names=("+".join(dict.fromkeys(names)),),
        splits=(split,),
        starts=np.array([0, frames]),
        fps=fps,
        rotations=spline(continuous(motion.rotations), times),
        root_m=spline(motion.root_m, times),
    )


def _starts(clips: Clips, split: str, least: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the frames (N,) of a split that `least` frames of their clip follow, and their probabilities.

    All clips have the same probability, so that long ones do not prevail.
    """
    spans = [
        np.arange(clips.starts[index], clips.starts[index + 1] - least)
        for index, other in enumerate(clips.splits)
        if other == split
    ]
    rows = np.concatenate([*spans, np.zeros(0, np.int64)])
    if not len(rows):
        raise PosecError(
            f"no {clips.kind} clip of split '{split}' lasts {SHORTEST_S} s; choose another split or add clips"
        )
    shares = np.concatenate([np.full(len(span), 1 / len(span)) for span in spans if len(span)])
    return rows, shares / shares.sum()


def _take(rng: np.random.Generator, clips: Clips, row: int) -> _Piece:
    """Return a random number of frames from `row` on, at most to the end of the clip."""
    end = int(clips.starts[np.searchsorted(clips.starts, row, side="right")])
    end = min(end, row + round(rng.uniform(SHORTEST_S, LONGEST_S) * clips.fps))
    return _Piece(clips.rotations[row:end].astype(np.float64), clips.root_m[row:end].astype(np.float64))


def _similar(clips: Clips, motion: _Piece, *, candidates: np.ndarray) -> int:
    """Return the candidate frame with the pose most similar to the one where the fade begins."""
    pose = motion.rotations[-round(FADE_S * clips.fps)]
    others = clips.rotations[candidates].astype(np.float64)
    others[:, 0] = _multiply(_heading(pose[0], others[:, 0]), others[:, 0])
    return int(candidates[(1 - np.abs((others * pose).sum(axis=-1))).sum(axis=1).argmin()])


def _join(before: _Piece, after: _Piece, *, fade: int) -> _Piece:
    """Return two pieces as one: the second turned and moved to where the first ends, with a cross-fade."""
    heading = _heading(before.rotations[-fade, 0], after.rotations[0, 0])
    rotations = after.rotations.copy()
    rotations[:, 0] = _multiply(heading, rotations[:, 0])
    root_m = after.root_m - after.root_m[0]
    root_m = _rotate(heading, root_m) + before.root_m[-fade]
    root_m[:, 1] = after.root_m[:, 1]
    share = np.linspace(0, 1, fade + 2)[1:-1]
    share = share * share * (3 - 2 * share)
    old, new = before.rotations[-fade:], rotations[:fade]
    new = np.where((old * new).sum(axis=-1, keepdims=True) < 0, -new, new)
    mixed = old + share[:, None, None] * (new - old)
    mixed /= np.linalg.norm(mixed, axis=-1, keepdims=True)
    path = before.root_m[-fade:] + share[:, None] * (root_m[:fade] - before.root_m[-fade:])
    return _Piece(
        np.concatenate([before.rotations[:-fade], mixed, rotations[fade:]]),
        np.concatenate([before.root_m[:-fade], path, root_m[fade:]]),
    )


def spline(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return the cubic B-spline with control points (F, ...) at times (T,) in frames.

    A time needs one frame before it and two after it.
    """
    frame = np.floor(times).astype(int)
    u = (times - frame).reshape(-1, *[1] * (values.ndim - 1))
    weights = ((1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3)
    return np.asarray(sum(weight * values[frame + k - 1] for k, weight in enumerate(weights)) / 6)


def continuous(quaternions: np.ndarray) -> np.ndarray:
    """Return quaternions (F, ..., 4) with signs such that neighbours in time are near each other."""
    flips = np.where((quaternions[1:] * quaternions[:-1]).sum(axis=-1) < 0, -1.0, 1.0)
    signs = np.concatenate([np.ones_like(flips[:1]), np.cumprod(flips, axis=0)])
    return np.asarray(quaternions * signs[..., None])


def _heading(towards: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Return the turn about the vertical (..., 4) that takes `rotation` (..., 4) nearest to `towards`."""
    relative = _multiply(np.broadcast_to(towards, rotation.shape), rotation * [1, -1, -1, -1])
    twist = relative * [1, 0, 1, 0]
    length = np.linalg.norm(twist, axis=-1, keepdims=True)
    return np.where(length > 1e-6, twist / np.maximum(length, 1e-6), [1.0, 0.0, 0.0, 0.0])


def _multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the product of quaternions (..., 4), w first."""
    w, v = a[..., :1], a[..., 1:]
    other_w, other_v = b[..., :1], b[..., 1:]
    real = w * other_w - (v * other_v).sum(axis=-1, keepdims=True)
    return np.concatenate([real, w * other_v + other_w * v + np.cross(v, other_v)], axis=-1)


def _rotate(quaternion: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return points (N, 3) rotated by a unit quaternion (4,)."""
    w, v = quaternion[0], quaternion[1:]
    across = 2 * np.cross(v, points)
    return np.asarray(points + w * across + np.cross(v, across))
