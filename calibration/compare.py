"""What each observer would cost in pose units, from one sweep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.device.drift import LIMITS, Drift
from toolkit.ir.graph import Graph
from toolkit.ir.ranges import Ranges
from toolkit.ir.target import Scheme
from toolkit.passes import prepare
from toolkit.verification.simulation import Judge, quantized

from .collect import Progress, sweep
from .observers import OBSERVERS


@dataclass(frozen=True)
class Comparison:
    """Observers side by side.

    Attributes:
        ranges: observer → its ranges.
        drifts: observer → how the int8 network made of them differs from the float one.
        allowed: how far it may, by name of the limit.
    """

    ranges: dict[str, Ranges]
    drifts: dict[str, Drift]
    allowed: Mapping[str, float]

    @property
    def best(self) -> str:
        """Name of the observer whose worst of millimetres, people lost and people invented is smallest, each as a share of `allowed`.

        One person at the threshold more or less is chance; an observer that is worse by millimetres is worse everywhere.
        """

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


def compare(graph: Graph, frames: Iterable[np.ndarray], judged: Iterable[np.ndarray], scheme: Scheme, allowed: Mapping[str, float],
            observers: Sequence[str] = tuple(OBSERVERS), progress: Callable[[str], Progress] | None = None) -> Comparison:  # fmt: skip
    """Return what each observer costs: calibrate on `frames`, quantize by `scheme`, judge on `judged`, in ONNX Runtime.

    Args:
        graph: as traced or prepared.
        frames: to calibrate on, BGR (H, W, 3) uint8.
        judged: other pictures, with people in them.
        scheme: of a back end.
        allowed: a board's allowance for int8, by the names of LIMITS.
        observers: names of OBSERVERS.
        progress: makes a callback for a stage, "calibrating" or "judging".

    Raises PosecError where an observer is unknown, there are no frames, or nobody is on the judged ones.
    """
    prepared = prepare(graph)
    judge = Judge(prepared, judged)
    swept = sweep(prepared, frames, progress("calibrating") if progress else None)
    report = progress("judging") if progress else None
    ranges = {name: swept.ranges(name) for name in observers}
    drifts = {}
    for done, name in enumerate(observers, 1):
        drifts[name] = judge.drift(judge.heads(quantized(prepared, ranges[name], scheme)))
        if report:
            report(done, len(observers))
    return Comparison(ranges, drifts, allowed)
