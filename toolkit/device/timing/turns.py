"""Turns of a bench: bundles run a few frames each in turn, until time and frames for p99 are enough."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runtime.errors import PosecError
from .quantiles import is_enough
from .worker_process import WorkerProcess

if TYPE_CHECKING:
    Progress = Callable[[int, int], None]

LEAST_ROUNDS = 5
LONGEST_S = 86_400.0  # a bench of more than a day is a mistake


@dataclass(frozen=True)
class BenchSettings:
    """Settings of a bench.

    Attributes:
        pictures: files, or one file or folder; empty takes the first bundle's golden pictures.
        size: (height, width) to resize the pictures to beforehand, such as a camera's (720, 1280).
        seconds: time for each bundle, with at least five turns; up to six times as long for p99.
        frames_per_turn: counted frames in each turn.
        threads: of the engines; None takes each bundle's.
        sustained_seconds: duration of a continuous run of each bundle afterwards.
    """

    pictures: str | Path | Sequence[str | Path] = ()
    size: tuple[int, int] | None = None
    seconds: float = 10.0
    frames_per_turn: int = 10
    threads: int | None = None
    sustained_seconds: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("seconds", self.seconds), ("sustained seconds", self.sustained_seconds)):
            if not 0 <= value <= LONGEST_S:
                raise PosecError(f"bench takes 0 to {LONGEST_S:g} {name}, got {value:g}")
        if self.threads is not None and not 1 <= self.threads <= 1024:
            raise PosecError(f"threads must be a number from 1 to 1024, got {self.threads}")
        if self.frames_per_turn < 1:
            raise PosecError(f"bench needs at least one frame per turn, got {self.frames_per_turn}")


class BenchClock:
    """Reports the elapsed seconds of a bench, once per second."""

    def __init__(self, progress: Progress | None, seconds: float) -> None:
        self._progress, self._seconds = progress, max(1, round(seconds))
        self._start, self._reported = time.perf_counter(), -1

    def tick(self, finished: bool = False) -> None:
        """Report the elapsed seconds unless they were reported before."""
        done = self._seconds if finished else min(int(time.perf_counter() - self._start), self._seconds - 1)
        if self._progress and done > self._reported:
            self._reported = done
            self._progress(done, self._seconds)


def take_turns(
    workers: Sequence[WorkerProcess], settings: BenchSettings, clock: BenchClock
) -> list[list[Any]]:
    """Return the rounds of each worker; a worker that fails keeps its earlier ones."""
    rounds: list[list[Any]] = [[] for _ in workers]
    start, done = time.perf_counter(), 0
    asked_s = settings.seconds * len(workers)
    while done < LEAST_ROUNDS or not is_enough(
        done * settings.frames_per_turn, time.perf_counter() - start, asked_s
    ):
        for index, worker in enumerate(workers):
            turn = None if worker.failed else worker.ask("run", frames=settings.frames_per_turn)
            if turn:
                rounds[index].append(turn)
        if all(worker.failed for worker in workers):
            break
        done += 1
        clock.tick()
    return rounds
