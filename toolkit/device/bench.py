"""Measure bundles on this machine, from the picture in memory to the PoseFrame, stage by stage.

Method: each bundle runs in a separate process, and its first call is timed separately (cold).
Then the bundles take turns of a few frames, so that throttling and other processes affect all of them alike.
A ratio between two bundles is the ratio of their medians in one such run.
The first frame of every turn is not counted. Latency excludes reading the picture from disk and drawing.
Turns go on until there are enough frames for p99, see `needed_samples`, but at most six times the asked time.
Afterwards each bundle runs as a stream with overlapping stages, and on request continuously for minutes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..runtime.console import printable
from ..runtime.errors import PosecError
from .machine import busy_share, machine_facts, machine_state
from .timing.bench_pictures import describe_pictures, picture_files
from .timing.cold_start import RESIDENT, cold_start
from .timing.latency import COLUMNS, ratios, steady, summary
from .timing.noise import noise_of
from .timing.quantiles import latency_quantiles
from .timing.turns import BenchClock, BenchSettings, take_turns

if TYPE_CHECKING:
    from .timing.turns import Progress
from .timing.worker_process import WorkerProcess

OVERLAP_SHARE = 0.25  # of the asked seconds
LONGEST_REASON = 4000
NO_SUSTAINED_RUN = "energy is measured in a sustained run"


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
        `cold` (see `cold_start`), `latency` (see `summary`), `quantiles` (see `latency_quantiles`), `noise`
        (see `noise_of`),
        `samples` (names of the columns, and rows in ms), `ratios` (other bundle → ratios, see `ratios`),
        `overlap` (see `overlapped_stream`), `sustained` (see `steady`), `energy` (see `Worker.sustain`),
        `decode_us` (people → cost), `memory`, `engine`, `inputs` and `machine`.

    Raises PosecError without bundles or pictures. A bundle that cannot run is a result, not an error.
    """
    settings = settings or BenchSettings()
    if not bundles:
        raise PosecError("bench needs a bundle, got 0 bundles; name folders that `posec export` wrote")
    shown = picture_files(settings.pictures or Path(bundles[0]) / "golden")
    inputs = _describe_inputs(shown, settings)
    clock = BenchClock(progress, len(bundles) * (settings.seconds + settings.sustained_seconds))
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
    overlap: list[Any]
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
        "pictures": describe_pictures(shown),
        "resized_to": list(settings.size) if settings.size else None,
        "seconds": settings.seconds,
        "frames_per_turn": settings.frames_per_turn,
        "threads": settings.threads,
        "sustained_seconds": settings.sustained_seconds,
    }


def _measure(
    workers: Sequence[WorkerProcess], shown: Sequence[Path], settings: BenchSettings, *, clock: BenchClock
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
    rounds = take_turns(workers, settings, clock)
    after = machine_state()
    counted, decode = ask("finish"), ask("decode_cost")
    overlap = ask("overlap", seconds=OVERLAP_SHARE * settings.seconds)
    sustained = ask("sustain", seconds=sustained_s) if sustained_s > 0 else [None for _ in workers]
    return _Answers(
        starts=starts,
        cold=cold,
        rounds=rounds,
        counted=counted,
        decode=decode,
        overlap=overlap,
        sustained=sustained,
        ends=ask("finish"),
        before=before,
        after=after,
    )


def _measurement(
    index: int, workers: Sequence[WorkerProcess], answers: _Answers, *, shared: _Shared
) -> dict[str, Any]:
    """Return the measurement of one bundle, see `bench`."""
    worker, rounds = workers[index], answers.rounds
    opened, end, sustained = answers.cold[index] or {}, answers.ends[index], answers.sustained[index]
    has_run, start = not worker.failed, dict(answers.starts[index])
    resident = start.pop(RESIDENT, None)
    return {
        **shared.run,
        "bundle": printable(str(worker.folder), keep=""),
        "status": "failed" if worker.failed else "ran",
        "reason": worker.failed[:LONGEST_REASON],
        "cold": {**{name: opened[name] for name in ("load_ms", "first_ms")}, **start} if opened else None,
        "latency": summary(rounds[index]) if has_run else None,
        "quantiles": latency_quantiles(_totals(rounds[index])) if has_run else None,
        "noise": noise_of(rounds[index], shared.machine["busy"]) if has_run else None,
        "samples": {"columns": [*COLUMNS, "people"], "rounds": rounds[index]},
        "ratios": ratios(index, rounds, workers) if has_run else {},
        "overlap": answers.overlap[index],
        "sustained": steady(sustained["slices"]) if sustained else None,
        "energy": sustained["energy"] if sustained else {"absent": NO_SUSTAINED_RUN},
        "decode_us": answers.decode[index],
        "memory": {"peak_mb": end["peak_memory_mb"], RESIDENT: resident} if end else None,
        "engine": opened.get("engine", {}),
        "inputs": {**shared.inputs, "shapes": opened.get("shapes")},
        "machine": {**shared.machine, "libraries": opened.get("libraries", {})},
    }


def _totals(rounds: Sequence[Sequence[Sequence[float]]]) -> list[float]:
    """Return the latency of every frame in ms."""
    return [frame[COLUMNS.index("total")] for turn in rounds for frame in turn]
