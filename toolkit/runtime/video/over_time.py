"""People over time: the stage between the estimate of a picture and the sinks of a run."""

from __future__ import annotations

from collections import deque
from typing import Deque, List, Optional

import numpy as np

from ..tracking.people_over_time import PeopleOverTime, TrackedPeople
from .result import Estimate, Followed, Tracked


class Unrelated:
    """Stage of unrelated pictures: people have no numbers."""

    def update(self, estimate: Estimate) -> List[Followed]:
        """Return the picture as it is."""
        return [Followed(estimate, Tracked(estimate.people))]

    def flush(self) -> List[Followed]:
        """Return nothing, as no picture waits."""
        return []


class Following:
    """Stage of videos and cameras: numbers, smoothed and bridged people, velocities."""

    def __init__(self, over_time: PeopleOverTime) -> None:
        self._over_time = over_time
        self._waiting: Deque[Estimate] = deque()

    def update(self, estimate: Estimate) -> List[Followed]:
        """Return the pictures that are finished: this one or, with a lookahead, an earlier one or none."""
        self._waiting.append(estimate)
        tracked = self._over_time.update(estimate.people, estimate.frame.seconds, estimate.evidence)
        return self._finished(tracked)

    def flush(self) -> List[Followed]:
        """Return the pictures that waited for later ones."""
        return [followed for tracked in self._over_time.flush() for followed in self._finished(tracked)]

    def _finished(self, tracked: Optional[TrackedPeople]) -> List[Followed]:
        if tracked is None:
            return []
        fields = {
            "bridged": tracked.bridged.tolist(),
            "velocities_mm_s": np.round(tracked.velocities_mm_s.astype(float), 1).tolist(),
            "root_velocities_mm_s": np.round(tracked.root_velocities_mm_s.astype(float), 1).tolist(),
        }
        people = Tracked(tracked.people, tracked.numbers.tolist(), fields)
        return [Followed(self._waiting.popleft(), people)]
