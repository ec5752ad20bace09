"""Compare observers by the drift of the int8 networks that they lead to, from one sweep."""

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
from toolkit.verification.float_reference import FloatReference

from .collect import Progress, sweep
from .observers import OBSERVERS


@dataclass(frozen=True)
class Comparison:
    """Observers side by side.

    Attributes:
        ranges: observer → ranges.
        drifts: observer → drift of its int8 network from the float one.
        allowed: limit name → largest value.
    """

    ranges: dict[str, Ranges]
    drifts: dict[str, Drift]
    allowed: Mapping[str, float]

    @property
    def best(self) -> str:
        """Observer with the smallest worst ratio of drift to limit, over all limits."""

        def worst(name: str) -> float:
            drift = self.drifts[name]
            return max(getattr(drift, limit) / self.allowed[limit] for limit in LIMITS)

        return min(self.drifts, key=worst)

    def rows(self) -> list[list[str]]:
        """Return the table, header first."""
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
    """Return the drift that each observer causes.

    Calibrates on `frames`, quantizes for `target`, and measures the drift on `judged`. The int8 graphs are
    those that an export lowers, see `passes.quantize.pipeline`; they run in ONNX Runtime.

    Args:
        graph: as traced or prepared.
        frames: calibration frames, BGR (H, W, 3) uint8.
        judged: other pictures, with people in them.
        target: of `targets.load`; must have int8.
        observers: names of OBSERVERS.
        progress: returns a callback for a stage, "calibrating" or "judging".

    Raises PosecError for an unknown observer, without frames, and without people on the judged pictures.
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
