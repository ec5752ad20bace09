"""People over time: the stage between the estimate of a picture and the sinks of a run."""

from __future__ import annotations

from .result import Estimate, OverTime, Tracked
from .track import Tracker


def choose_over_time(still: bool) -> OverTime:
    """Return the stage of a run: identities for videos and cameras, nothing for unrelated pictures."""
    return _unrelated if still else number_people(Tracker())


def number_people(tracker: Tracker) -> OverTime:
    """Return a stage that numbers people with a tracker."""

    def stage(estimate: Estimate) -> Tracked:
        numbers = tracker.update(estimate.people, estimate.frame.seconds)
        return Tracked(estimate.people, [int(number) for number in numbers])

    return stage


def _unrelated(estimate: Estimate) -> Tracked:
    return Tracked(estimate.people)
