"""Measure bundles on this machine, from the picture in memory to the PoseFrame, stage by stage.

Method: each bundle runs in a process of its own, and its first call is timed separately (cold).
Then the bundles take turns of a few frames, so that throttling and other processes affect all of them alike.
A ratio between two bundles is the ratio of their medians in one such run.
The first frame of every turn is not counted. Latency excludes reading the picture from disk and drawing.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..runtime.console import printable
from ..runtime.errors import PosecError
from ..runtime.files.bundle_files import sha256_of
from .machine import busy_share, machine_facts, machine_state
from .timing.cold_start import RESIDENT, cold_start
from .timing.latency import COLUMNS, ratios, steady, summary
from .timing.worker_process import WorkerProcess

if TYPE_CHECKING:
    Progress = Callable[[int, int], None]

LEAST_ROUNDS = 5
LONGEST_REASON = 4000
LONGEST_S = 86_400.0  # a bench of more than a day is a mistake
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


@dataclass(frozen=True)
class BenchSettings:
    """Settings of a bench.

    Attributes:
        pictures: files, or one file or folder; empty takes the first bundle's golden pictures.
        size: (height, width) to resize the pictures to beforehand, such as a camera's (720, 1280).
        seconds: time for each bundle, with at least five turns.
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


def bench(
    bundles: Sequence[str | Path], *, settings: BenchSettings | None = None, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Measure bundles side by side and return one measurement per bundle, in order.

    Args:
        bundles: their folders.
        settings: None takes the defaults.
        progress: called with (elapsed seconds, total seconds).

    Returns:
        Dictionaries with `run` (one id for all bundles of the bench), `status` ("ran" or "failed"), `reason`,
        `cold` (see `cold_start`), `latency` (see `summary`), `samples` (names of the columns, and rows in
        ms),
        `ratios` (other bundle → ratios, see `ratios`), `sustained` (see `steady`), `decode_us` (people →
        cost), `memory`, `engine`, `inputs` and `machine`.

    Raises PosecError without bundles or pictures. A bundle that cannot run is a result, not an error.
    """
    settings = settings or BenchSettings()
    if not bundles:
        raise PosecError("bench needs a bundle, got 0 bundles; name folders that `posec export` wrote")
    shown = picture_files(settings.pictures or Path(bundles[0]) / "golden")
    inputs = _describe_inputs(shown, settings)
    clock = _Clock(progress, len(bundles) * (settings.seconds + settings.sustained_seconds))
    workers = [WorkerProcess(Path(folder)) for folder in bundles]
    try:
        answers = _measure(workers, shown, settings, clock=clock)
    finally:
        for worker in workers:
            worker.close()
    clock.tick(finished=True)
    busy = busy_share(answers.before, answers.after, sum(end["cpu_s"] for end in answers.counted if end))
    shared = _Shared(
        {"run": uuid.uuid4().hex[:12], "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())},
        inputs,
        {**machine_facts(), "before": answers.before, "after": answers.after, "busy": busy},
    )
    return [_measurement(index, workers, answers, shared=shared) for index in range(len(workers))]


class _Answers(NamedTuple):
    """Answers of the workers, one per worker in their order, and the state of the machine around the turns.

    `counted` are the resources after the turns, `ends` those after everything.
    """

    starts: list[dict[str, float]]
    cold: list[Any]
    rounds: list[list[Any]]
    counted: list[Any]
    decode: list[Any]
    sustained: list[Any]
    ends: list[Any]
    before: dict[str, Any]
    after: dict[str, Any]


class _Shared(NamedTuple):
    """Entries that all measurements of a bench have in common."""

    run: dict[str, Any]
    inputs: dict[str, Any]
    machine: dict[str, Any]


def _describe_inputs(shown: Sequence[Path], settings: BenchSettings) -> dict[str, Any]:
    return {
        "pictures": [{"name": printable(path.name, keep=""), "sha256": _sha256(path)} for path in shown],
        "resized_to": list(settings.size) if settings.size else None,
        "seconds": settings.seconds,
        "frames_per_turn": settings.frames_per_turn,
        "threads": settings.threads,
        "sustained_seconds": settings.sustained_seconds,
    }


def _measure(
    workers: Sequence[WorkerProcess], shown: Sequence[Path], settings: BenchSettings, *, clock: _Clock
) -> _Answers:
    """Return the answers of all workers; the entries of a failed worker are None."""

    def ask(request: str, **arguments: Any) -> list[Any]:
        return [None if worker.failed else worker.ask(request, **arguments) for worker in workers]

    pictures, sustained_s = [str(path) for path in shown], settings.sustained_seconds
    threads, seconds = settings.threads, settings.seconds
    starts = [cold_start(worker.folder, shown[0], threads=threads, seconds=seconds / 2) for worker in workers]
    cold = [
        worker.ask(
            "load",
            folder=str(worker.folder),
            pictures=pictures,
            size=settings.size,
            threads=settings.threads,
        )
        for worker in workers
    ]
    before = machine_state()
    rounds = _take_turns(workers, settings, clock)
    after = machine_state()
    counted, decode = ask("finish"), ask("decode_cost")
    sustained = ask("sustain", seconds=sustained_s) if sustained_s > 0 else [None for _ in workers]
    return _Answers(
        starts, cold, rounds, counted, decode, sustained, ends=ask("finish"), before=before, after=after
    )


def _measurement(
    index: int, workers: Sequence[WorkerProcess], answers: _Answers, *, shared: _Shared
) -> dict[str, Any]:
    """Return the measurement of one bundle, see `bench`."""
    worker, rounds = workers[index], answers.rounds
    opened, end, slices = answers.cold[index] or {}, answers.ends[index], answers.sustained[index]
    start = dict(answers.starts[index])
    resident = start.pop(RESIDENT, None)
    return {
        **shared.run,
        "bundle": printable(str(worker.folder), keep=""),
        "status": "failed" if worker.failed else "ran",
        "reason": worker.failed[:LONGEST_REASON],
        "cold": {**{name: opened[name] for name in ("load_ms", "first_ms")}, **start} if opened else None,
        "latency": None if worker.failed else summary(rounds[index]),
        "samples": {"columns": [*COLUMNS, "people"], "rounds": rounds[index]},
        "ratios": {} if worker.failed else ratios(index, rounds, workers),
        "sustained": steady(slices) if slices else None,
        "decode_us": answers.decode[index],
        "memory": {"peak_mb": end["peak_memory_mb"], RESIDENT: resident} if end else None,
        "engine": opened.get("engine", {}),
        "inputs": {**shared.inputs, "shapes": opened.get("shapes")},
        "machine": {**shared.machine, "libraries": opened.get("libraries", {})},
    }


def picture_files(pictures: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return the given pictures, or those in a folder, sorted. Raises PosecError if there are none."""
    if isinstance(pictures, (str, Path)):
        where = Path(pictures)
        files = (
            sorted(path for path in where.iterdir() if path.suffix.lower() in PICTURE_ENDINGS)
            if where.is_dir()
            else [where]
        )
        if not files:
            raise PosecError(
                f"no pictures in '{where}'; give a folder of {', '.join(PICTURE_ENDINGS)} files to bench with"
            )
        return files
    return [Path(path) for path in pictures]


class _Clock:
    """Reports the elapsed seconds of a bench, once per second."""

    def __init__(self, progress: Progress | None, seconds: float) -> None:
        self._progress, self._seconds = progress, max(1, round(seconds))
        self._start, self._reported = time.perf_counter(), -1

    def tick(self, finished: bool = False) -> None:
        done = self._seconds if finished else min(int(time.perf_counter() - self._start), self._seconds - 1)
        if self._progress and done > self._reported:
            self._reported = done
            self._progress(done, self._seconds)


def _take_turns(workers: Sequence[WorkerProcess], settings: BenchSettings, clock: _Clock) -> list[list[Any]]:
    """Return the rounds of each worker; a worker that fails keeps its earlier ones."""
    rounds: list[list[Any]] = [[] for _ in workers]
    start, done = time.perf_counter(), 0
    while done < LEAST_ROUNDS or time.perf_counter() - start < settings.seconds * len(workers):
        for index, worker in enumerate(workers):
            turn = None if worker.failed else worker.ask("run", frames=settings.frames_per_turn)
            if turn:
                rounds[index].append(turn)
        if all(worker.failed for worker in workers):
            break
        done += 1
        clock.tick()
    return rounds


def _sha256(path: Path) -> str:
    if not path.is_file():  # a pipe or a device would never end
        raise PosecError(f"no picture '{path}'; name picture files to bench with")
    try:
        return sha256_of(path)
    except OSError as error:
        raise PosecError(f"cannot read picture '{path}': {error.strerror}; name other pictures") from error
