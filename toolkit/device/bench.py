"""Measure bundles on this machine, end to end: picture in memory to PoseFrame, every stage, every sample kept.

Method. Each bundle has a process of its own. The first call is timed apart (cold). Then the bundles take turns, a few
frames each, until each has had its time, so that a clock that falls or a neighbour that wakes hits all alike; a ratio
between two bundles is a ratio of medians of one such run. The frame after each change of turn is not counted. Reading
the picture from disk and drawing are not part of the latency. Valid Python 3.8: a board runs this.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import PosecError
from .machine import busy_share, machine_facts, machine_state
from .worker import STAGES
from .worker_process import WorkerProcess

if TYPE_CHECKING:
    Progress = Callable[[int, int], None]

COLUMNS = (
    *STAGES,
    "total",
    "cpu",
)  # of a sample, in ms; "cpu" is processor time of all threads, which neighbours disturb least
LEAST_ROUNDS = 5
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def bench(
    bundles: Sequence[str | Path], pictures: str | Path | Sequence[str | Path] = (), size: tuple[int, int] | None = None, seconds: float = 10.0,
    frames_per_turn: int = 10, threads: int | None = None, sustained_seconds: float = 0.0, progress: Progress | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Measure bundles side by side and return one measurement per bundle, in their order.

    Args:
        bundles: their folders.
        pictures: files, or one file or folder, that every bundle is shown in turn; none takes the first bundle's golden pictures.
        size: (height, width) that the pictures are resized to beforehand, such as a camera's (720, 1280).
        seconds: time for each bundle, in turns of `frames_per_turn` counted frames; five turns at least.
        frames_per_turn: see `seconds`.
        threads: of the engines; None leaves it to each bundle.
        sustained_seconds: then let each bundle work for so long without a pause.
        progress: is told (seconds done, seconds in all).

    Returns:
        Plain dictionaries: `run` (one id for all measured together), `status` "ran" or "failed" with `reason`, `cold`,
        `latency` (see `summary`), `samples` (names of the columns, and rows in ms), `ratios` (other bundle → ratio of
        medians, with p10 and p90 of the ratio over rounds, and the ratio of processor times), `sustained` (see `steady`), `decode_us` (people → cost),
        `memory`, `engine`, `inputs`, `machine`.

    Raises PosecError where there is nothing to measure with; a bundle that cannot run is a result, not an error.
    """
    if not bundles or frames_per_turn < 1:
        raise PosecError(
            f"bench needs a bundle and a frame per turn; got {len(bundles)} bundles, {frames_per_turn} frames per turn; name what `posec export` wrote"
        )
    shown = picture_files(pictures or Path(bundles[0]) / "golden")
    inputs = {"pictures": [{"name": path.name, "sha256": _sha256(path)} for path in shown], "resized_to": list(size) if size else None,
              "seconds": seconds, "frames_per_turn": frames_per_turn, "threads": threads, "sustained_seconds": sustained_seconds}  # fmt: skip
    clock = _Clock(progress, len(bundles) * (seconds + sustained_seconds))
    workers = [WorkerProcess(Path(folder)) for folder in bundles]
    try:
        cold = [
            worker.ask(
                "load",
                folder=str(worker.folder),
                pictures=[str(path) for path in shown],
                size=size,
                threads=threads,
            )
            for worker in workers
        ]
        before = machine_state()
        rounds = _take_turns(workers, seconds, frames_per_turn, clock)
        after = machine_state()
        middle = [None if worker.failed else worker.ask("finish") for worker in workers]
        decode = [None if worker.failed else worker.ask("decode_cost") for worker in workers]
        sustained = [
            None
            if worker.failed or sustained_seconds <= 0
            else worker.ask("sustain", seconds=sustained_seconds)
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
        found.append({
            **run, "bundle": str(worker.folder), "status": "failed" if worker.failed else "ran", "reason": worker.failed,
            "cold": {name: opened[name] for name in ("load_ms", "first_ms")} if opened else None,
            "latency": None if worker.failed else summary(rounds[index]),
            "samples": {"columns": [*COLUMNS, "people"], "rounds": rounds[index]},
            "ratios": {} if worker.failed else _ratios(index, rounds, workers), "sustained": steady(slices) if slices else None,
            "decode_us": decode[index], "memory": {"peak_mb": end["peak_memory_mb"]} if end else None, "engine": opened.get("engine", {}),
            "inputs": {**inputs, "shapes": opened.get("shapes")}, "machine": {**machine, "libraries": opened.get("libraries", {})},
        })  # fmt: skip
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


def summary(rounds: Sequence[Sequence[Sequence[float]]]) -> dict[str, dict[str, float]]:
    """Return p50, p90, p99, mean and most, in ms, of stages, total and processor time over all counted frames, and their number."""
    samples = np.array([frame[: len(COLUMNS)] for turn in rounds for frame in turn], np.float64)
    return {name: _percentiles(samples[:, column]) for column, name in enumerate(COLUMNS)}


def steady(slices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what a sustained run shows: p50 of its first and last fifth, how much slower it became, and every second of it."""
    fifth = max(1, len(slices) // 5)
    first, last = (
        float(np.median([entry["p50_ms"] for entry in part])) for part in (slices[:fifth], slices[-fifth:])
    )
    return {
        "first_p50_ms": first,
        "last_p50_ms": last,
        "slower": last / first,
        "seconds": slices[-1]["at_s"],
        "slices": list(slices),
    }


class _Clock:
    """Tells how many of the seconds of a bench have gone, once per second."""

    def __init__(self, progress: Progress | None, seconds: float) -> None:
        self._progress, self._seconds, self._start, self._told = (
            progress,
            max(1, round(seconds)),
            time.perf_counter(),
            -1,
        )

    def tick(self, finished: bool = False) -> None:
        done = self._seconds if finished else min(int(time.perf_counter() - self._start), self._seconds - 1)
        if self._progress and done > self._told:
            self._told = done
            self._progress(done, self._seconds)


def _take_turns(
    workers: Sequence[WorkerProcess], seconds: float, frames: int, clock: _Clock
) -> list[list[Any]]:
    """Return the rounds of each worker; a worker that fails keeps those that it had."""
    rounds: list[list[Any]] = [[] for _ in workers]
    start, done = time.perf_counter(), 0
    while done < LEAST_ROUNDS or time.perf_counter() - start < seconds * len(workers):
        for index, worker in enumerate(workers):
            turn = None if worker.failed else worker.ask("run", frames=frames)
            if turn:
                rounds[index].append(turn)
        if all(worker.failed for worker in workers):
            break
        done += 1
        clock.tick()
    return rounds


def _percentiles(values: np.ndarray) -> dict[str, float]:
    found = {f"p{q}_ms": round(float(np.percentile(values, q)), 4) for q in (50, 90, 99)}
    return {
        **found,
        "mean_ms": round(float(values.mean()), 4),
        "most_ms": round(float(values.max()), 4),
        "frames": len(values),
    }


def _ratios(
    index: int, rounds: Sequence[Any], workers: Sequence[WorkerProcess]
) -> dict[str, dict[str, float]]:
    """Return this bundle's median over every other one's, and how that ratio spreads over the rounds."""
    ratios = {}
    for other, worker in enumerate(workers):
        if other == index or worker.failed:
            continue
        mine, theirs = (
            np.array(rounds[i])[:, :, [COLUMNS.index("total"), COLUMNS.index("cpu")]] for i in (index, other)
        )
        of_medians, of_cpu = np.median(mine, axis=(0, 1)) / np.median(theirs, axis=(0, 1))
        low, high = np.percentile(
            np.median(mine[..., 0], axis=1) / np.median(theirs[..., 0], axis=1), (10, 90)
        )
        ratios[str(worker.folder)] = {
            "of_medians": float(of_medians),
            "p10": float(low),
            "p90": float(high),
            "of_cpu": float(of_cpu),
        }
    return ratios


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PosecError(f"no picture '{path}'; name pictures that exist to bench with") from error
