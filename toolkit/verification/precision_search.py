"""The ladder: from all of int8 up to float32, the first rung whose people survive."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..compiler.build import build
from ..compiler.checks import check_request
from ..device.drift import Drift
from ..device.golden_check import verify_golden
from ..errors import PosecError
from ..ir.float_engine import float_estimator
from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..ir.target import PRECISIONS, Job, Target
from ..runtime import load
from ..runtime.bundle import Bundle
from .sensitivity import blame
from .verify import verify

# Blame runs every layer over its frames; so many, those with most people, rank the layers well enough.
_BLAME_FRAMES = 16
_LATENCY_CALLS = 24


@dataclass(frozen=True)
class Rung:
    """One attempt.

    Attributes:
        precision: of the layers that are not left float.
        float_layers: names of layers that were left float beyond those that the back end leaves anyway, worst first.
        drift: of the bundle in its own engine; true where the allowance is kept.
        golden: the same on the golden pictures that the bundle carries, which a deployment asks for; None where `drift` misses the
            allowance, or where the bundle carries none with people.
        latency_ms: median of whole calls, picture to people, on this machine.
        float32_ms: the same of the float32 bundle, taken in turns with it.
    """

    precision: str
    float_layers: tuple[str, ...]
    drift: Drift
    latency_ms: float
    float32_ms: float
    golden: Drift | None = None

    def __bool__(self) -> bool:
        return bool(self.drift) and (self.golden is None or bool(self.golden))

    @property
    def name(self) -> str:
        """The precision, and how many layers are float."""
        return (
            f"{self.precision}, {len(self.float_layers)} layers float"
            if self.float_layers
            else self.precision
        )

    @property
    def missed(self) -> str:
        """What of the allowance is missed, and where on the golden pictures alone; empty where it is kept."""
        if self.golden is not None and not self.golden:
            return ", ".join(self.golden.missed) + " on its golden pictures"
        return ", ".join(self.drift.missed)


@dataclass(frozen=True)
class Ladder:
    """Every rung that was tried, in that order, and the one that was taken; None where all miss the allowance."""

    rungs: tuple[Rung, ...]
    taken: Rung | None
    bundle: Bundle | None

    def __bool__(self) -> bool:
        return self.taken is not None

    def rows(self) -> list[list[str]]:
        """Return the table, its header first."""
        rows = [["rung", "drift mm", "p95 mm", "lost", "invented", "latency ms", "of float32", "verdict"]]
        for rung in self.rungs:
            drift, verdict = (
                rung.drift,
                "taken" if rung is self.taken else "passes" if rung else f"misses {rung.missed}",
            )
            people = [f"{100 * fraction:.1f} %" for fraction in (drift.people_lost, drift.people_invented)]
            times = [f"{rung.latency_ms:.1f}", f"{rung.latency_ms / rung.float32_ms:.2f}"]
            rows.append(
                [rung.name, f"{drift.drift_mm:.2f}", f"{drift.drift_p95_mm:.2f}", *people, *times, verdict]
            )
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Return lists, numbers and strings for a JSON file."""
        rungs = [
            {**asdict(rung), "name": rung.name, "drift": rung.drift.to_dict(), "golden": None if rung.golden is None else rung.golden.to_dict(),
             "passes": bool(rung), "missed": rung.missed, "taken": rung is self.taken}
            for rung in self.rungs
        ]  # fmt: skip
        return {"taken": self.taken.name if self.taken else None, "rungs": rungs}


def climb(graph: Graph, target: Target, ranges: Ranges, frames: Iterable[np.ndarray], out: str | Path, allowed: Mapping[str, float] | None = None,
          golden: Sequence[np.ndarray] | None = None, overwrite: bool = False, threads: int | None = None,
          say: Callable[[str], None] = lambda line: None) -> Ladder:  # fmt: skip
    """Build the bundle of the lowest precision that keeps the target's allowance, and write it to `out`.

    Tried in this order, until one keeps the allowance: int8; int8 with the worst layers in float, twice as many each
    time, then by halves back to as few as suffice; float16; float32. Layers are ranked by `blame`. Every rung is built and
    measured in the target's engine, on this machine, also on the golden pictures of the bundle, by which a deployment judges it. Only
    people and millimetres decide, so equal inputs give equal bytes.

    Args:
        graph: of `trace`.
        target: of `targets.load`; precisions that it does not have are left out.
        ranges: of `calibration.collect`.
        frames: BGR pictures (H, W, 3) uint8 with people in them, to judge on; not those of the calibration.
        out: folder to write; stays untouched where no rung is good enough.
        allowed: limits for every rung by name (`parity.LIMITS`); None takes the target's for the rung's precision.
        golden, overwrite: as for `build`.
        threads: of the engines.
        say: is told what is tried, and how it went.

    Raises PosecError where the request cannot be met, or the target's engine does not run here.
    """
    check_request(target, "float32", None, (), out, overwrite)
    pictures = list(frames)
    if not pictures:
        raise PosecError("no frames to judge on; give frames with people in them")
    with tempfile.TemporaryDirectory() as folder:
        attempt = _Attempt(graph, target, ranges, pictures, Path(folder), allowed, golden, threads, say)
        rungs: list[Rung] = []
        for precision in (name for name in PRECISIONS[::-1] if name in target.precisions):
            rungs += _int8_rungs(attempt) if precision == "int8" else [attempt(precision, ())]
            if any(rungs):
                break
    good = [rung for rung in rungs if rung]
    if not good:
        return Ladder(tuple(rungs), None, None)
    taken = min(good, key=lambda rung: len(rung.float_layers))
    say(f"taken: {taken.name}")
    integers = ranges if taken.precision == "int8" else None
    bundle = build(graph, target, taken.precision, integers, out, golden, taken.float_layers, overwrite)
    return Ladder(tuple(rungs), taken, bundle)


def _int8_rungs(attempt: _Attempt) -> Iterator[Rung]:
    """Yield int8 with ever more of the worst layers float; stop when as few as suffice are known."""
    first = attempt("int8", ())
    yield first
    if first:
        return
    worst = attempt.worst_layers()
    fails, count = 0, 1
    # With more than half of the layers float, float16 or float32 costs hardly more.
    while count <= len(worst) // 2:
        rung = attempt("int8", worst[:count])
        yield rung
        if rung:
            yield from _fewer(attempt, worst, fails, count)
            return
        fails, count = count, 2 * count


def _fewer(attempt: _Attempt, worst: Sequence[str], fails: int, passes: int) -> Iterator[Rung]:
    while passes - fails > 1:
        middle = (fails + passes) // 2
        rung = attempt("int8", worst[:middle])
        yield rung
        fails, passes = (fails, middle) if rung else (middle, passes)


@dataclass
class _Attempt:
    """Builds a rung, runs it beside the float32 bundle, and measures both."""

    graph: Graph
    target: Target
    ranges: Ranges
    pictures: list[np.ndarray]
    folder: Path
    allowed: Mapping[str, float] | None
    golden: Sequence[np.ndarray] | None
    threads: int | None
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        build(self.graph, self.target, "float32", out=self.folder / "float32", golden=[])
        try:
            self._float32 = load(str(self.folder / "float32"), self.threads)
        except ValueError as error:
            raise PosecError(f"the ladder needs the engine of target '{self.target.name}' on this machine: {error}; "
                             "export one precision, and verify it on the board") from error  # fmt: skip

    def __call__(self, precision: str, float_layers: Sequence[str]) -> Rung:
        folder = self.folder / f"{precision}-{len(float_layers)}"
        integers = self.ranges if precision == "int8" else None
        bundle = build(self.graph, self.target, precision, integers, folder, self.golden, tuple(float_layers))
        drift = verify(bundle, self.graph, self.pictures, threads=self.threads, allowed=self.allowed)
        asked = drift and any(len(people) for _, people in bundle.golden())
        golden = verify_golden(bundle, self.threads, self.allowed) if asked else None
        rung = Rung(precision, tuple(float_layers), drift, *self._latency_ms(folder), golden)
        on_golden = "" if golden is None else f"; on its golden pictures {golden}"
        self.say(
            f"{rung.name}: {drift}{on_golden}; {rung.latency_ms:.1f} ms, float32 {rung.float32_ms:.1f} ms"
        )
        return rung

    def worst_layers(self) -> list[str]:
        """Return the names of all layers that int8 quantizes, worst first."""
        self.say("ranking the layers")
        scheme = self.target.backend.scheme(Job(self.target, "int8"))
        estimator = float_estimator(self.graph, self.threads)
        crowded = sorted(self.pictures, key=lambda picture: -len(estimator(picture)))[:_BLAME_FRAMES]
        found = blame(self.graph, self.ranges, scheme, crowded, spare=False)
        return [each.layer for each in found.layers]

    def _latency_ms(self, folder: Path) -> tuple[float, float]:
        """Return medians of whole calls of a bundle and of the float32 one; the two take turns, as a machine's clock drifts."""
        estimators = [load(str(folder), self.threads), self._float32]
        times: list[list[float]] = [[], []]
        for call in range(_LATENCY_CALLS + 2):
            picture = self.pictures[call % len(self.pictures)]
            for estimator, taken in zip(estimators, times, strict=True):
                estimator(picture)  # the other one has just had the caches
                start = time.perf_counter()
                estimator(picture)
                taken.append(1000 * (time.perf_counter() - start))
        mine, theirs = (float(np.median(taken[2:])) for taken in times)
        return mine, theirs
