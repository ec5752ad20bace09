"""Measure bundles on this machine, end to end: picture in memory to PoseFrame, every stage, every sample kept.

Method. Each bundle has a process of its own. The first call is timed apart (cold). Then the bundles take turns of a few
frames, so that throttling and other processes affect all of them alike. A ratio between two bundles is the ratio of their
medians in one such run. The first frame of every turn is not counted. Latency excludes reading the picture from disk and
drawing.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..runtime.console import printable
from ..runtime.errors import PosecError
from ..runtime.files.bundle_files import sha256_of
from .machine import busy_share, machine_facts, machine_state
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
    """How bundles are measured.

    Attributes:
        pictures: files, or one file or folder, that every bundle runs on in turn; empty takes the first bundle's golden pictures.
        size: (height, width) that the pictures are resized to beforehand, such as a camera's (720, 1280).
        seconds: time for each bundle, in turns of `frames_per_turn` counted frames; five turns at least.
        frames_per_turn: see `seconds`.
        threads: of the engines; None leaves it to each bundle.
        sustained_seconds: then run each bundle continuously for so long.
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
    """Measure bundles side by side and return one measurement per bundle, in their order.

    Args:
        bundles: their folders.
        settings: None takes the defaults.
        progress: called with (seconds done, seconds in all).

    Returns:
        Plain dictionaries: `run` (one id for all measured together), `status` "ran" or "failed" with `reason`, `cold`,
        `latency` (see `summary`), `samples` (names of the columns, and rows in ms), `ratios` (other bundle → ratio of
        medians, with p10 and p90 of the ratio over rounds, and the ratio of processor times), `sustained` (see `steady`), `decode_us` (people → cost),
        `memory`, `engine`, `inputs`, `machine`.

    Raises PosecError where there is nothing to measure with; a bundle that cannot run is a result, not an error.
    """
    settings = settings or BenchSettings()
    if not bundles:
        raise PosecError("bench needs a bundle, got 0 bundles; name folders that `posec export` wrote")
    shown = picture_files(settings.pictures or Path(bundles[0]) / "golden")
    inputs = {
        "pictures": [{"name": printable(path.name, keep=""), "sha256": _sha256(path)} for path in shown],
        "resized_to": list(settings.size) if settings.size else None,
        "seconds": settings.seconds,
        "frames_per_turn": settings.frames_per_turn,
        "threads": settings.threads,
        "sustained_seconds": settings.sustained_seconds,
    }
    sustained_s = settings.sustained_seconds
    clock = _Clock(progress, len(bundles) * (settings.seconds + sustained_s))
    workers = [WorkerProcess(Path(folder)) for folder in bundles]
    try:
        cold = [
            worker.ask(
                "load",
                folder=str(worker.folder),
                pictures=[str(path) for path in shown],
                size=settings.size,
                threads=settings.threads,
            )
            for worker in workers
        ]
        before = machine_state()
        rounds = _take_turns(workers, settings, clock)
        after = machine_state()
        middle = [None if worker.failed else worker.ask("finish") for worker in workers]
        decode = [None if worker.failed else worker.ask("decode_cost") for worker in workers]
        sustained = [
            None if worker.failed or sustained_s <= 0 else worker.ask("sustain", seconds=sustained_s)
            for worker in workers
        ]
        ends = [None if worker.failed else worker.ask("finish") for worker in workers]
    finally:
        for worker in workers:
            worker.close()
    clock.tick(finished=True)
    busy = busy_share(before, after, sum(end["cpu_s"] for end in middle if end))
    run = {"run": uuid.uuid4().hex[:12], "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    machine = {**machine_facts(), "before": before, "after": after, "busy": busy}
    found = []
    for index, worker in enumerate(workers):
        opened, end, slices = cold[index] or {}, ends[index], sustained[index]
        found.append(
            {
                **run,
                "bundle": printable(str(worker.folder), keep=""),
                "status": "failed" if worker.failed else "ran",
                "reason": worker.failed[:LONGEST_REASON],
                "cold": {name: opened[name] for name in ("load_ms", "first_ms")} if opened else None,
                "latency": None if worker.failed else summary(rounds[index]),
                "samples": {"columns": [*COLUMNS, "people"], "rounds": rounds[index]},
                "ratios": {} if worker.failed else ratios(index, rounds, workers),
                "sustained": steady(slices) if slices else None,
                "decode_us": decode[index],
                "memory": {"peak_mb": end["peak_memory_mb"]} if end else None,
                "engine": opened.get("engine", {}),
                "inputs": {**inputs, "shapes": opened.get("shapes")},
                "machine": {**machine, "libraries": opened.get("libraries", {})},
            }
        )
    return found


def picture_files(pictures: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return the pictures named, or those in a folder, sorted. Raises PosecError where there is none."""
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
        self._progress, self._seconds, self._start, self._reported = (
            progress,
            max(1, round(seconds)),
            time.perf_counter(),
            -1,
        )

    def tick(self, finished: bool = False) -> None:
        done = self._seconds if finished else min(int(time.perf_counter() - self._start), self._seconds - 1)
        if self._progress and done > self._reported:
            self._reported = done
            self._progress(done, self._seconds)


def _take_turns(workers: Sequence[WorkerProcess], settings: BenchSettings, clock: _Clock) -> list[list[Any]]:
    """Return the rounds of each worker; a worker that fails keeps those that it had."""
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
        raise PosecError(
            f"cannot read picture '{path}': {error.strerror}; name others to bench with"
        ) from error
