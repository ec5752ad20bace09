"""Pairs of people in two cameras, and the rotation between the cameras that each pair states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .sightings import Sightings


@dataclass(frozen=True)
class Pairs:
    """All pairs of a person in camera A and a person in camera B at one time, P pairs.

    Attributes:
        frames: (P, 2) indices of the frames of A and B, ascending in A.
        rows: (P, 2) indices of the people in them.
        rotations: (P, 3, 3) from B's axes to A's, by the best fit of the joints relative to the pelvis.
        apart_mm: (P,) mean distance of the joints after this fit.
    """

    frames: np.ndarray
    rows: np.ndarray
    rotations: np.ndarray
    apart_mm: np.ndarray

    def take(self, which: np.ndarray) -> Pairs:
        """Return some pairs, by a mask or by indices."""
        return Pairs(self.frames[which], self.rows[which], self.rotations[which], self.apart_mm[which])


def simultaneous(a: Sightings, b: Sightings, offset_s: float) -> np.ndarray:
    """Return (F, 2) indices of frames of A and B at one time, with people in both.

    `offset_s` is added to B's times; times differ by at most half a step of the slower camera.
    """
    times = b.seconds + offset_s
    after = np.clip(np.searchsorted(times, a.seconds), 1, len(times) - 1)
    nearest = np.where(a.seconds - times[after - 1] < times[after] - a.seconds, after - 1, after)
    close = np.abs(times[nearest] - a.seconds) <= 0.51 * max(a.step_s, b.step_s)
    frames = np.column_stack([np.arange(len(a.seconds)), nearest])[close]
    inhabited = [len(a.people[i]) > 0 and len(b.people[j]) > 0 for i, j in frames]
    return np.asarray(frames[np.array(inhabited, bool)])


def pairs_of(a: Sightings, b: Sightings, frames: np.ndarray) -> Pairs:
    """Return all pairs of people at simultaneous frames (F, 2)."""
    places, rows, mine, theirs = [], [], [], []
    for i, j in frames.tolist():
        for row in range(len(a.people[i])):
            for other in range(len(b.people[j])):
                places.append((i, j))
                rows.append((row, other))
                mine.append(a.people[i].joints_mm[row])
                theirs.append(b.people[j].joints_mm[other])
    joints = a.people[0].joints_mm.shape[1]
    goal, found = (np.array(values, np.float64).reshape(-1, joints, 3) for values in (mine, theirs))
    rotations = best_rotations(found, goal)
    apart_mm = np.linalg.norm(found @ rotations.swapaxes(1, 2) - goal, axis=-1).mean(-1)
    return Pairs(
        np.array(places, int).reshape(-1, 2), np.array(rows, int).reshape(-1, 2), rotations, apart_mm
    )


def best_rotations(found: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Return the rotations (P, 3, 3) that take points (P, J, 3) nearest to others about the origin.

    Kabsch, Acta Crystallographica 1976.
    """
    return nearest_rotation(goal.swapaxes(-1, -2) @ found)


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """Return the rotation (..., 3, 3) nearest to a matrix (..., 3, 3)."""
    u, _, v = np.linalg.svd(matrix)
    signs = np.ones(u.shape[:-1])
    signs[..., -1] = np.linalg.det(u @ v)
    return np.asarray((u * signs[..., None, :]) @ v)


def angles_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the angles (...) in degrees between rotations (..., 3, 3)."""
    trace = (a * b).sum(axis=(-1, -2))
    return np.asarray(np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))))
