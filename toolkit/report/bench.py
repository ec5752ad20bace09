"""Measure bundles on this machine, end to end: picture in memory to PoseFrame, every stage, every sample kept.

Method. Each bundle has a process of its own. The first call is timed apart (cold). Then the bundles take turns, a few
frames each, until all have had their rounds, so that a clock that falls or a neighbour that wakes hits all alike;
a ratio between two bundles is a ratio of medians of one such run. The frame after each change of turn is not counted.
Reading the picture from disk and drawing are not part of the latency. Valid Python 3.8: a board runs this.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PosecError
from .machine import busy_share, machine_facts, machine_state
from .worker import STAGES

Progress = Callable[[str], None]
COLUMNS = (*STAGES, "total")


def bench(
    bundles: Sequence[str | Path], pictures: Sequence[str | Path] = (), size: tuple[int, int] | None = None, rounds: int = 20, frames: int = 10,
    threads: int | None = None, sustain_s: float = 0.0, progress: Progress | None = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Measure bundles side by side and return one measurement per bundle, in their order.

    Args:
        bundles: their folders.
        pictures: files that every bundle is shown in turn; none takes the first bundle's golden pictures.
        size: (height, width) that the pictures are resized to beforehand, such as a camera's (720, 1280).
        rounds, frames: turns of each bundle, and counted frames per turn.
        threads: of the engines; None leaves it to each bundle.
        sustain_s: then let each bundle work for so many seconds without a pause.
        progress: is told what happens, one line at a time.

    Returns:
        Plain dictionaries: `run` (one id for all measured together), `status` "ran" or "failed" with `reason`, `cold`,
        `latency` (see `summary`), `samples` (names of the columns, and rows in ms), `ratios` (other bundle → ratio of
        medians, with p10 and p90 of the ratio over rounds), `sustained`, `memory`, `engine`, `inputs`, `machine`.

    Raises PosecError where there is nothing to measure with; a bundle that cannot run is a result, not an error.
    """
    if not bundles or rounds < 1 or frames < 1:
        raise PosecError(f"bench needs a bundle, a round and a frame; got {len(bundles)} bundles, {rounds} rounds, {frames} frames")
    tell = progress or (lambda line: None)
    shown = [Path(path) for path in pictures] or sorted((Path(bundles[0]) / "golden").glob("*.png"))
    if not shown:
        raise PosecError(f"no golden pictures in '{bundles[0]}'; name the pictures to bench with")
    run, facts = uuid.uuid4().hex[:12], machine_facts()
    workers = [_Process(Path(folder)) for folder in bundles]
    try:
        for worker in workers:
            tell(f"loading {worker.folder}")
            worker.cold = worker.ask("load", folder=str(worker.folder), pictures=[str(path) for path in shown], size=size, threads=threads)
        before = machine_state()
        turns: list[list[list[list[float]]]] = [[] for _ in workers]
        for number in range(rounds):
            tell(f"round {number + 1} of {rounds}")
            for index, worker in enumerate(workers):
                if not worker.failed:
                    turns[index].append(worker.ask("run", frames=frames) or [])
        after = machine_state()
        sustained: list[Any] = []
        for worker in workers:
            if sustain_s > 0 and not worker.failed:
                tell(f"{sustain_s:g} s without a pause: {worker.folder}")
            sustained.append(worker.ask("sustain", seconds=sustain_s) if sustain_s > 0 and not worker.failed else None)
        ends = [worker.ask("finish") if not worker.failed else None for worker in workers]
    finally:
        for worker in workers:
            worker.close()
    own_s = sum(end["cpu_s"] for end in ends if end)
    machine = {**facts, "before": before, "after": after, "busy": busy_share(before, after, own_s) if sustain_s <= 0 else {}}
    inputs = {"pictures": [{"name": path.name, "sha256": _sha256(path)} for path in shown], "resized_to": list(size) if size else None,
              "rounds": rounds, "frames": frames, "threads": threads}  # fmt: skip
    return [
        {
            "run": run, "bundle": str(worker.folder), "status": "failed" if worker.failed else "ran", "reason": worker.failed,
            "cold": {name: worker.cold[name] for name in ("load_ms", "first_ms")} if worker.cold else None,
            "latency": summary(turns[index]) if not worker.failed else None,
            "samples": {"columns": [*COLUMNS, "people"], "rounds": turns[index]},
            "ratios": _ratios(index, turns, workers), "sustained": steady(sustained[index]) if sustained[index] else None,
            "memory": {"peak_mb": end["peak_memory_mb"]} if end else None, "engine": worker.cold["engine"] if worker.cold else {},
            "inputs": {**inputs, "shapes": worker.cold["shapes"] if worker.cold else None},
            "machine": {**machine, "libraries": worker.cold["libraries"] if worker.cold else {}},
            "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        for index, (worker, end) in enumerate((workers[i], ends[i]) for i in range(len(workers)))
    ]  # fmt: skip


def summary(rounds: Sequence[Sequence[Sequence[float]]]) -> dict[str, dict[str, float]]:
    """Return p50, p90, p99, mean and most, in ms, of each stage and of the total, over all counted frames."""
    samples = np.array([frame[: len(COLUMNS)] for turn in rounds for frame in turn], np.float64)
    return {name: _percentiles(samples[:, column]) for column, name in enumerate(COLUMNS)}


def steady(slices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return what a sustained run shows: p50 of its first and last fifth, how much slower it became, and every second of it."""
    fifth = max(1, len(slices) // 5)
    first, last = (float(np.median([entry["p50_ms"] for entry in part])) for part in (slices[:fifth], slices[-fifth:]))
    return {"first_p50_ms": first, "last_p50_ms": last, "slower": last / first, "seconds": slices[-1]["at_s"], "slices": list(slices)}


def _percentiles(values: np.ndarray) -> dict[str, float]:
    found = {f"p{q}_ms": round(float(np.percentile(values, q)), 4) for q in (50, 90, 99)}
    return {**found, "mean_ms": round(float(values.mean()), 4), "most_ms": round(float(values.max()), 4)}


def _ratios(index: int, turns: list[list[list[list[float]]]], workers: list[_Process]) -> dict[str, dict[str, float]]:
    """Return this bundle's median over every other one's, and how that ratio spreads over the rounds."""
    ratios = {}
    total = COLUMNS.index("total")
    for other, worker in enumerate(workers):
        if other == index or worker.failed or workers[index].failed:
            continue
        mine, theirs = (np.array(turns[i])[:, :, total] for i in (index, other))
        per_round = np.median(mine, axis=1) / np.median(theirs, axis=1)
        low, high = np.percentile(per_round, (10, 90))
        ratios[str(worker.folder)] = {"of_medians": float(np.median(mine) / np.median(theirs)), "p10": float(low), "p90": float(high)}
    return ratios


def _sha256(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PosecError(f"no picture '{path}'; name pictures that exist to bench with") from error


class _Process:
    """A worker process; once it refuses or dies, `failed` says why and it is not asked again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.failed, self.cold = folder, "", None
        home = str(Path(__file__).resolve().parents[2])  # where the package lies, also when it is not installed
        path = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
        self._process = subprocess.Popen([sys.executable, "-m", f"{__package__}.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         env={**os.environ, "PYTHONPATH": path}, text=True)  # fmt: skip

    def ask(self, do: str, **request: Any) -> Any:
        """Return the worker's answer, or None where it failed."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        reply = json.loads(line) if line else {"refused": f"the process that ran the bundle ended with status {self._process.wait()}"}
        self.failed = reply.get("refused", "")
        return reply.get("answer")

    def close(self) -> None:
        """Let the worker end, and take it down where it does not."""
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.close()
            self._process.wait(timeout=10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
