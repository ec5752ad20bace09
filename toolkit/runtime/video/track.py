"""Identities over time: who of this picture was who in the last."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from ..pose import PoseFrame
from .assignment import assign

LARGEST_COST = 1.0
DEPTH_WEIGHT = (
    1.5  # two people pass each other at different depths; a depth off by half costs as much as 0.6 bodies
)
PATIENCE_S = 1.0
SMOOTHING = 0.5


class _Track:
    """One person: number, where they were last, and how fast they moved."""

    def __init__(self, number: int, centre_px: np.ndarray, log_depth: float, seconds: float) -> None:
        self.number, self.centre_px, self.log_depth, self.seconds = number, centre_px, log_depth, seconds
        self.velocity_px = np.zeros(2, np.float32)  # per second

    def predict(self, seconds: float) -> np.ndarray:
        """Return where the person should be, at constant velocity, but no farther than a moment's walk from where they were."""
        return self.centre_px + self.velocity_px * min(seconds - self.seconds, PATIENCE_S / 2)

    def see(self, centre_px: np.ndarray, log_depth: float, seconds: float) -> None:
        """Take a new observation."""
        if seconds > self.seconds:
            velocity_px = (centre_px - self.centre_px) / (seconds - self.seconds)
            self.velocity_px = SMOOTHING * self.velocity_px + (1 - SMOOTHING) * velocity_px
        self.centre_px, self.log_depth, self.seconds = centre_px, log_depth, seconds


class Tracker:
    """Numbers people from 1 and keeps the numbers while they are seen.

    A person is who stands where the last one was heading, at about that depth. The distance of centres is measured in
    bodies, so far and near people are held to the same; depth enters as a ratio, which needs no focal length. All are
    paired at once, at the least cost in all. Nobody's number is given again; who is gone for longer than a second comes back new.
    """

    def __init__(self) -> None:
        self._tracks: List[_Track] = []
        self._given = 0

    def update(self, frame: PoseFrame, seconds: float) -> np.ndarray:
        """Return the numbers (N,) of a frame's people, int.

        `seconds` says when the picture was taken; times must not run backwards. Raises ValueError where they do.
        """
        if any(seconds < track.seconds for track in self._tracks):
            raise ValueError(
                f"a picture of {seconds:.3f} s comes after one of {max(t.seconds for t in self._tracks):.3f} s; start a new Tracker"
            )
        self._tracks = [track for track in self._tracks if seconds - track.seconds <= PATIENCE_S]
        numbers = np.zeros(len(frame), int)
        log_depths = np.log(np.maximum(frame.roots_mm[:, 2], 1.0))
        for person, track in self._pairs(frame, log_depths, seconds):
            numbers[person] = self._tracks[track].number
            self._tracks[track].see(frame.centres_px[person], float(log_depths[person]), seconds)
        for person in np.flatnonzero(numbers == 0).tolist():
            self._given += 1
            numbers[person] = self._given
            self._tracks.append(
                _Track(self._given, frame.centres_px[person], float(log_depths[person]), seconds)
            )
        return numbers

    def _pairs(self, frame: PoseFrame, log_depths: np.ndarray, seconds: float) -> List[Tuple[int, int]]:
        """Return (person, track) pairs, each index at most once, that cost least in all."""
        if not len(frame) or not self._tracks:
            return []
        predicted = np.stack([track.predict(seconds) for track in self._tracks])
        bodies_px = np.maximum(np.ptp(frame.joints_px, axis=1).max(axis=1), 1.0)
        apart = np.linalg.norm(frame.centres_px[:, None] - predicted, axis=-1) / bodies_px[:, None]
        deeper = np.abs(log_depths[:, None] - np.array([track.log_depth for track in self._tracks]))
        cost = np.minimum(apart + DEPTH_WEIGHT * deeper, 2 * LARGEST_COST)
        # A column more for each person: to be somebody new.
        chosen = assign(np.hstack([cost, np.full((len(frame), len(frame)), LARGEST_COST)]))
        return [(person, int(track)) for person, track in enumerate(chosen) if track < len(self._tracks)]
