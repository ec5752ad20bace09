"""Identities over time: match the people of a picture with those of earlier pictures."""

from __future__ import annotations

from typing import List, NamedTuple, Tuple

import numpy as np

from ..pose import PoseFrame
from .assignment import assign

LARGEST_COST = 1.0
DEPTH_WEIGHT = 1.5  # people pass each other at different depths: log-depth, in body sizes per unit
PATIENCE_S = 1.0
SMOOTHING = 0.5


class _Observation(NamedTuple):
    """A person in one picture."""

    centre_px: np.ndarray
    log_depth: float
    seconds: float


class _Track:
    """One person: number, last position and depth, velocity."""

    def __init__(self, number: int, observation: _Observation) -> None:
        self.number = number
        self.centre_px, self.log_depth, self.seconds = observation
        self.velocity_px = np.zeros(2, np.float32)  # per second

    def predict(self, seconds: float) -> np.ndarray:
        """Return the expected centre (2,) in px, at constant velocity for at most half of `PATIENCE_S`."""
        return self.centre_px + self.velocity_px * min(seconds - self.seconds, PATIENCE_S / 2)

    def update(self, observation: _Observation) -> None:
        """Add an observation."""
        centre_px, log_depth, seconds = observation
        if seconds > self.seconds:
            velocity_px = (centre_px - self.centre_px) / (seconds - self.seconds)
            self.velocity_px = SMOOTHING * self.velocity_px + (1 - SMOOTHING) * velocity_px
        self.centre_px, self.log_depth, self.seconds = centre_px, log_depth, seconds


class Tracker:
    """Numbers people from 1, and keeps the number of a person over time.

    A person continues the track whose predicted centre and depth are nearest; the total cost is minimal.
    Distances between centres are in body sizes, so they are comparable for far and near people.
    Depths enter as ratios, which need no focal length.
    Numbers are never reused; a person absent for longer than `PATIENCE_S` gets a new one.
    """

    def __init__(self) -> None:
        self._tracks: List[_Track] = []
        self._given = 0

    def update(self, frame: PoseFrame, seconds: float) -> np.ndarray:
        """Return the numbers (N,) int of a frame's people.

        `seconds` is the time of the picture; raises ValueError if it decreases.
        """
        if any(seconds < track.seconds for track in self._tracks):
            latest = max(track.seconds for track in self._tracks)
            raise ValueError(
                f"a picture of {seconds:.3f} s comes after one of {latest:.3f} s; start a new Tracker"
            )
        self._tracks = [track for track in self._tracks if seconds - track.seconds <= PATIENCE_S]
        numbers = np.zeros(len(frame), int)
        log_depths = np.log(np.maximum(frame.roots_mm[:, 2], 1.0))
        observations = [
            _Observation(centre_px, float(log_depth), seconds)
            for centre_px, log_depth in zip(frame.centres_px, log_depths)
        ]
        for person, track in self._pairs(frame, log_depths, seconds):
            numbers[person] = self._tracks[track].number
            self._tracks[track].update(observations[person])
        for person in np.flatnonzero(numbers == 0).tolist():
            self._given += 1
            numbers[person] = self._given
            self._tracks.append(_Track(self._given, observations[person]))
        return numbers

    def _pairs(self, frame: PoseFrame, log_depths: np.ndarray, seconds: float) -> List[Tuple[int, int]]:
        """Return (person, track) pairs of least total cost, each index at most once."""
        if not len(frame) or not self._tracks:
            return []
        predicted = np.stack([track.predict(seconds) for track in self._tracks])
        bodies_px = np.maximum(np.ptp(frame.joints_px, axis=1).max(axis=1), 1.0)
        apart = np.linalg.norm(frame.centres_px[:, None] - predicted, axis=-1) / bodies_px[:, None]
        deeper = np.abs(log_depths[:, None] - np.array([track.log_depth for track in self._tracks]))
        cost = np.nan_to_num(
            np.minimum(apart + DEPTH_WEIGHT * deeper, 2 * LARGEST_COST), nan=2 * LARGEST_COST
        )
        # One more column per person: a new track.
        chosen = assign(np.hstack([cost, np.full((len(frame), len(frame)), LARGEST_COST)]))
        return [(person, int(track)) for person, track in enumerate(chosen) if track < len(self._tracks)]
