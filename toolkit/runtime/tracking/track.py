"""Identities over time: match the people of a picture with those of earlier pictures."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

import numpy as np

from ..pose import PoseFrame
from .assignment import assign

LARGEST_COST = 1.0
DEPTH_WEIGHT = 1.5  # people pass each other at different depths: log-depth, in body sizes per unit
POSE_WEIGHT = 0.3  # of the difference of poses, see `_Descriptor`
POSE_FADES_S = 0.3  # a pose distinguishes people for a moment, then it has changed
PATIENCE_S = 1.0
VELOCITY_S = 0.15  # time constant of the velocity's average
BRIDGED_FRAMES = 5
LEAST_SEEN = 3  # pictures of a person before a gap that is bridged
BIRTH_SCORE, SURE_SCORE = 0.4, 0.6


class _Observation(NamedTuple):
    """A person in one picture; `pose` is a vector of the same length for all people."""

    centre_px: np.ndarray
    log_depth: float
    seconds: float
    score: float
    pose: np.ndarray


class _Track:
    """One person: number, last position, depth and pose, velocity. The number is 0 until birth."""

    def __init__(self, observation: _Observation) -> None:
        self.number, self.seen, self.missed = 0, 1, 0
        self.best_score = observation.score
        self.centre_px, self.log_depth, self.seconds, _, self.pose = observation
        self.velocity_px = np.zeros(2, np.float32)  # per second

    def predict(self, seconds: float) -> np.ndarray:
        """Return the expected centre (2,) in px, at constant velocity for at most half of `PATIENCE_S`."""
        return self.centre_px + self.velocity_px * min(seconds - self.seconds, PATIENCE_S / 2)

    def update(self, observation: _Observation) -> None:
        """Add an observation."""
        centre_px, log_depth, seconds, score, pose = observation
        elapsed = seconds - self.seconds
        if elapsed > 0:
            share = 1 - np.exp(-elapsed / VELOCITY_S)
            velocity_px = (centre_px - self.centre_px) / elapsed
            self.velocity_px = self.velocity_px + share * (velocity_px - self.velocity_px)
        self.centre_px, self.log_depth, self.seconds, self.pose = centre_px, log_depth, seconds, pose
        self.seen, self.missed, self.best_score = self.seen + 1, 0, max(self.best_score, score)

    def expired(self, seconds: float) -> bool:
        """Return whether the track has been without a detection for too long; before birth, for a picture."""
        return seconds - self.seconds > PATIENCE_S or (self.missed > 0 and not self.number)


class Tracker:
    """Numbers people from 1, and keeps the number of a person over time.

    A person continues the track of nearest predicted centre, depth and pose; the total cost is
    minimal. Distances between centres are in body sizes, so they are comparable for far and near people.
    Depths enter as ratios, which need no focal length.

    A track begins with more evidence than it continues with: a score of `sure_score`, or detections in two
    pictures in a row with one of at least `birth_score`. Detections before that have number 0.
    Numbers are never reused; a person absent for longer than `PATIENCE_S` gets a new one.

    Attributes:
        lost: numbers of people without a detection in the last pictures, at most `BRIDGED_FRAMES` of
            them. Those seen in fewer than `LEAST_SEEN` pictures, or replaced by a new track, are left out.
    """

    def __init__(self, birth_score: float = BIRTH_SCORE, sure_score: float = SURE_SCORE) -> None:
        self.lost: List[int] = []
        self._birth_score, self._sure_score = birth_score, sure_score
        self._tracks: List[_Track] = []
        self._given = 0

    def update(
        self, people: PoseFrame, seconds: float, embeddings: Optional[np.ndarray] = None
    ) -> np.ndarray:
        """Return the numbers (N,) int of a picture's people; 0 for detections with too little evidence.

        Args:
            people: of the picture.
            seconds: time of the picture.
            embeddings: (N, E) pose embeddings in [-1, 1]; None compares joints instead. All pictures alike.

        Raises ValueError if the time decreases.
        """
        if any(seconds < track.seconds for track in self._tracks):
            latest = max(track.seconds for track in self._tracks)
            raise ValueError(
                f"a picture of {seconds:.3f} s comes after one of {latest:.3f} s; start a new Tracker"
            )
        self._tracks = [track for track in self._tracks if not track.expired(seconds)]
        observations = _observations(people, seconds, embeddings)
        tracks: List[Optional[_Track]] = [None] * len(people)
        for person, index in self._pairs(people, observations, seconds):
            tracks[person] = self._tracks[index]
            self._tracks[index].update(observations[person])
        for track in self._tracks:
            track.missed += all(track is not other for other in tracks)
        self.lost = []
        for person, observation in enumerate(observations):
            if tracks[person] is None:
                self._tracks.append(_Track(observation))
                tracks[person] = self._tracks[-1]
        numbers = [self._number(track) for track in tracks if track is not None]
        self.lost = [track.number for track in self._tracks if self._is_bridged(track, people, tracks)]
        return np.array(numbers, int)

    def _is_bridged(self, track: _Track, people: PoseFrame, tracks: List[Optional[_Track]]) -> bool:
        """Return whether a person without a detection is still expected, and no new track is in its place."""
        if not track.number or track.seen < LEAST_SEEN or not 0 < track.missed <= BRIDGED_FRAMES:
            return False
        successors = [
            person for person, other in enumerate(tracks) if other is not None and other.seen <= track.missed
        ]
        if not successors:
            return True
        apart = np.linalg.norm(people.centres_px[successors] - track.centre_px, axis=1)
        return bool((apart > np.ptp(people.joints_px[successors], axis=1).max(axis=1) / 2).all())

    def _number(self, track: _Track) -> int:
        """Return the number of a track; give it one if it has enough evidence."""
        is_sure = track.best_score >= self._sure_score
        if not track.number and (is_sure or (track.seen > 1 and track.best_score >= self._birth_score)):
            self._given += 1
            track.number = self._given
        return track.number

    def _pairs(
        self, people: PoseFrame, observations: List[_Observation], seconds: float
    ) -> List[Tuple[int, int]]:
        """Return (person, track) pairs of least total cost, each index at most once."""
        if not len(people) or not self._tracks:
            return []
        predicted = np.stack([track.predict(seconds) for track in self._tracks])
        bodies_px = np.maximum(np.ptp(people.joints_px, axis=1).max(axis=1), 1.0)
        apart = np.linalg.norm(people.centres_px[:, None] - predicted, axis=-1) / bodies_px[:, None]
        log_depths = np.array([observation.log_depth for observation in observations])
        deeper = np.abs(log_depths[:, None] - np.array([track.log_depth for track in self._tracks]))
        poses = np.stack([observation.pose for observation in observations])
        other = np.linalg.norm(poses[:, None] - np.stack([track.pose for track in self._tracks]), axis=-1)
        fades = np.exp([(track.seconds - seconds) / POSE_FADES_S for track in self._tracks])
        cost = apart + DEPTH_WEIGHT * deeper + POSE_WEIGHT * fades * other
        cost = np.nan_to_num(np.minimum(cost, 2 * LARGEST_COST), nan=2 * LARGEST_COST)
        # One more column per person: a new track.
        chosen = assign(np.hstack([cost, np.full((len(people), len(people)), LARGEST_COST)]))
        return [(person, int(track)) for person, track in enumerate(chosen) if track < len(self._tracks)]


def _observations(people: PoseFrame, seconds: float, embeddings: Optional[np.ndarray]) -> List[_Observation]:
    """Return the people of a picture; poses are scaled so that those of random people differ by about 1."""
    log_depths = np.log(np.maximum(people.roots_mm[:, 2], 1.0))
    count = len(people)
    if embeddings is None:
        joints = max(people.joints_mm.shape[1], 1)
        poses = people.joints_mm.reshape(count, 3 * joints) / (500 * np.sqrt(joints))
    else:
        poses = embeddings / np.sqrt(max(embeddings.shape[1], 1))
    return [
        _Observation(
            people.centres_px[person],
            float(log_depths[person]),
            seconds,
            float(people.scores[person]),
            poses[person],
        )
        for person in range(count)
    ]
