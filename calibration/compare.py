"""Compare observers: the drift that each one would cause, from one sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.device.drift import LIMITS, Drift
from toolkit.ir.graph import Graph
from toolkit.ir.ranges import Ranges
from toolkit.ir.target import Job, Target
from toolkit.passes import prepare
from toolkit.passes.quantize.pipeline import lower_graph
from toolkit.verification.simulation import FloatReference

from .collect import Progress, sweep
from .observers import OBSERVERS


@dataclass(frozen=True)
class Comparison:
    """Observers side by side.

    Attributes:
        ranges: observer → its ranges.
        drifts: observer → drift of the int8 network that its ranges give.
        allowed: limits of the drift, by name.
    """

    ranges: dict[str, Ranges]
    drifts: dict[str, Drift]
    allowed: Mapping[str, float]

    @property
    def best(self) -> str:
        """Name of the observer whose worst figure is smallest; each figure is taken as a share of its limit."""

        def worst(name: str) -> float:
            drift = self.drifts[name]
            return max(getattr(drift, limit) / self.allowed[limit] for limit in LIMITS)

        return min(self.drifts, key=worst)

    def rows(self) -> list[list[str]]:
        """Return the table, its header first."""
        rows = [["observer", "drift mm", "p95 mm", "max mm", "lost", "invented", "people"]]
        for name, drift in self.drifts.items():
            lengths = [f"{value:.2f}" for value in (drift.drift_mm, drift.drift_p95_mm, drift.drift_max_mm)]
            rows.append([name, *lengths, str(len(drift.lost)), str(len(drift.invented)), str(drift.people)])
        return rows


def compare(
    graph: Graph,
    frames: Iterable[np.ndarray],
    judged: Iterable[np.ndarray],
    *,
    target: Target,
    observers: Sequence[str] = tuple(OBSERVERS),
    progress: Callable[[str], Progress] | None = None,
) -> Comparison:
    """Return the drift that each observer causes: calibrate on `frames`, quantize for `target`, measure on `judged`.

    The int8 graphs are those that an export lowers, see `passes.quantize.pipeline`; they run in ONNX Runtime.

    Args:
        graph: as traced or prepared.
        frames: to calibrate on, BGR (H, W, 3) uint8.
        judged: other pictures, with people in them.
        target: of `targets.load`; must have int8.
        observers: names of OBSERVERS.
        progress: makes a callback for a stage, "calibrating" or "judging".

    Raises PosecError where an observer is unknown, there are no frames, or no people on the judged ones.
    """
    target.check_precision("int8")
    prepared, job = prepare(graph), Job(target, "int8")
    reference = FloatReference(prepared, judged)
    swept = sweep(prepared, frames, progress("calibrating") if progress else None)
    report = progress("judging") if progress else None
    ranges = {name: swept.ranges(name) for name in observers}
    drifts = {}
    for done, name in enumerate(observers, 1):
        drifts[name] = reference.drift(reference.heads(lower_graph(prepared, job, ranges[name])))
        if report:
            report(done, len(observers))
    return Comparison(ranges, drifts, vars(target.allowed["int8"]))
