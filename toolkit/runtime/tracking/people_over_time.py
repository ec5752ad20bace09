"""PeopleOverTime: people with numbers and velocities, smoothed, and bridged over gaps."""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, List, NamedTuple, Optional, Protocol, Sequence, Set, Tuple

import numpy as np

from ..pose import PoseFrame
from ..temporal.evidence import Evidence
from .track import Tracker

VELOCITY_S = 0.05  # time constant of the velocities' average


class PeopleFilter(Protocol):
    """Corrects tracked people from their earlier pictures: `smoothing.Smoother` or `temporal.TemporalStage`.

    Attributes:
        lookahead: number of pictures that the results are behind.
    """

    lookahead: int

    def update(
        self,
        people: PoseFrame,
        numbers: Sequence[int],
        seconds: float,
        *,
        evidence: Evidence,
        lost: Sequence[int] = (),
    ) -> PoseFrame:
        """Return people of the picture `lookahead` updates earlier: detected, then lost ones, predicted.

        There are none in the first `lookahead` updates. Forgets all other numbers.
        """

    def flush(self) -> List[PoseFrame]:
        """Return the people of the last `lookahead` pictures, and forget everyone."""


class TrackedPeople(NamedTuple):
    """N people of one picture.

    Attributes:
        people: detected people, then people who are bridged over a gap.
        numbers: (N,) int from 1; see `track.Tracker`.
        bridged: (N,) bool, True without a detection in this picture.
        velocities_mm_s: (N, J, 3) of `joints_mm`, relative to the pelvis; 0 in a person's first picture.
        root_velocities_mm_s: (N, 3) of `roots_mm`, relative to the camera.
    """

    people: PoseFrame
    numbers: np.ndarray
    bridged: np.ndarray
    velocities_mm_s: np.ndarray
    root_velocities_mm_s: np.ndarray


class PeopleOverTime:
    """Follows the people of a video or camera from picture to picture."""

    def __init__(
        self, people_filter: Optional[PeopleFilter] = None, tracker: Optional[Tracker] = None
    ) -> None:
        """Start without people.

        Args:
            people_filter: corrects people and bridges gaps; None keeps detections as they are.
            tracker: gives the numbers; None takes a new one.
        """
        self._filter, self._tracker = people_filter, Tracker() if tracker is None else tracker
        self._velocities = _Velocities()
        self._followed: Set[int] = set()
        self._waiting: Deque[_Waiting] = deque()

    def update(self, people: PoseFrame, seconds: float, evidence: Evidence) -> Optional[TrackedPeople]:
        """Return the people of a picture; detections with too little evidence for a person are left out.

        With a filter that looks ahead N pictures, returns the people of the call N updates earlier, and None
        at the first N. Raises ValueError if the time decreases.

        Args:
            people: of the picture.
            seconds: time of the picture.
            evidence: of the same people, see `PoseEstimator.detect`.
        """
        numbers = self._tracker.update(people, seconds, evidence.embeddings)
        is_person = numbers > 0
        if not is_person.all():
            people, numbers, evidence = people[is_person], numbers[is_person], evidence.take(is_person)
        if self._filter is None:
            return self._finished(people, _Waiting(numbers, np.zeros(len(numbers), bool), seconds))
        # Once a gap is not bridged, the filter has forgotten the person.
        lost = [number for number in self._tracker.lost if number in self._followed]
        self._followed = {*numbers.tolist(), *lost}
        found = self._filter.update(people, numbers.tolist(), seconds, evidence=evidence, lost=lost)
        is_bridged = np.arange(len(numbers) + len(lost)) >= len(numbers)
        self._waiting.append(_Waiting(np.concatenate([numbers, np.array(lost, int)]), is_bridged, seconds))
        if len(self._waiting) <= self._filter.lookahead:
            return None
        return self._finished(found, self._waiting.popleft())

    def flush(self) -> List[TrackedPeople]:
        """Return the people of the pictures that `update` has not returned yet."""
        pending = [] if self._filter is None else self._filter.flush()
        return [self._finished(people, self._waiting.popleft()) for people in pending]

    def _finished(self, people: PoseFrame, waiting: "_Waiting") -> TrackedPeople:
        velocities = self._velocities.update(people, waiting.numbers, waiting.seconds)
        return TrackedPeople(people, waiting.numbers, waiting.bridged, *velocities)


class _Waiting(NamedTuple):
    """A picture with people that the filter has not returned yet."""

    numbers: np.ndarray
    bridged: np.ndarray
    seconds: float


class _Velocities:
    """Velocities of numbered people: differences between pictures, averaged over VELOCITY_S."""

    def __init__(self) -> None:
        self._row_of: Dict[int, int] = {}
        self._places = np.zeros((0, 1, 3), np.float32)  # (N, J + 1, 3), the root last
        self._velocities = self._places
        self._seconds = 0.0

    def update(self, people: PoseFrame, numbers: np.ndarray, seconds: float) -> Tuple[np.ndarray, np.ndarray]:
        """Return the velocities of joints (N, J, 3) and of roots (N, 3), in mm/s."""
        places = np.concatenate([people.joints_mm, people.roots_mm[:, None]], axis=1)
        velocities = np.zeros_like(places)
        elapsed = seconds - self._seconds
        known = [row for row, number in enumerate(numbers.tolist()) if number in self._row_of]
        if known:
            before = [self._row_of[number] for number in numbers[known].tolist()]
            velocities[known] = self._velocities[before]
            if elapsed > 0:
                share = 1 - np.exp(-elapsed / VELOCITY_S)
                moved = (places[known] - self._places[before]) / elapsed
                velocities[known] += share * (moved - velocities[known])
        self._row_of = {number: row for row, number in enumerate(numbers.tolist())}
        self._places, self._velocities, self._seconds = places, velocities, seconds
        return velocities[:, :-1], velocities[:, -1]
