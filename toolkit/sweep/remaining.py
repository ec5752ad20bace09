"""The progress of a sweep: counts by kind of task, and an estimate of the remaining time."""

from __future__ import annotations

from collections.abc import Sequence

from .tasks import KINDS, Task

# Seconds of a task of each kind until the first has ended; only their proportions matter later.
_FIRST_GUESS_S = {"calibrate": 30.0, "export": 20.0, "people": 10.0, "accuracy": 1.0, "drift": 5.0}


class Remaining:
    """Estimates the remaining time from the mean duration of finished tasks of each kind."""

    def __init__(self, tasks: Sequence[Task], workers: int) -> None:
        """Begin with tasks that are not done yet."""
        self.total, self.done, self.failed = len(tasks), 0, 0
        self._workers = max(1, workers)
        self._left = {kind: sum(task.kind == kind for task in tasks) for kind in KINDS}
        self._durations: dict[str, list[float]] = {kind: [] for kind in KINDS}

    def add(self, kind: str, seconds: float, *, failed: bool) -> None:
        """Count a task that ended. Failed tasks end early: their durations are not used."""
        self.done, self.failed = self.done + 1, self.failed + failed
        self._left[kind] -= 1
        if not failed:
            self._durations[kind].append(seconds)

    @property
    def seconds(self) -> float:
        """Estimate of the time until the last task ends."""
        work = sum(count * self._mean(kind) for kind, count in self._left.items())
        longest = max((self._mean(kind) for kind, count in self._left.items() if count), default=0.0)
        return max(work / self._workers, longest)

    def _mean(self, kind: str) -> float:
        durations = self._durations[kind]
        return sum(durations) / len(durations) if durations else _FIRST_GUESS_S[kind]

    def __str__(self) -> str:
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{self.done} of {self.total} tasks{failed}, about {_duration(self.seconds)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
