"""The roofline: a layer takes at least its operations over the peak, and its bytes over the bandwidth.

Williams, Waterman, Patterson: Roofline, CACM 2009. A network takes longer than this bound; how much longer is
measured on boards where both are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...device.result import Result
from .workload import LayerWork

BYTES = {"float32": 4, "float16": 2, "bfloat16": 2, "int8": 1}


@dataclass(frozen=True)
class Prediction:
    """The predicted time of a network's inference on a board.

    Attributes:
        target, precision: the board.
        bound_ms: the least time by the board's peak figures.
        measured_ms: median inference time of a result of this board and precision, or None.
        low_ms, high_ms: the bound times the least and the largest factor on measured boards, or None.
        instructions: of an inference on one thread, predicted from counted operators, or None.
        instructions_error: the largest relative error of that prediction on whole networks, or None.
    """

    target: str
    precision: str
    bound_ms: float
    measured_ms: float | None = None
    low_ms: float | None = None
    high_ms: float | None = None
    instructions: float | None = None
    instructions_error: float | None = None

    @property
    def factor(self) -> float | None:
        """The measured time over the bound, or None."""
        return None if self.measured_ms is None else self.measured_ms / self.bound_ms


def bound_ms(work: Sequence[LayerWork], precision: str, facts: Mapping[str, Any]) -> float | None:
    """Return the least time of an inference; None where the facts lack `peak_gops` or `memory_gb_s`."""
    peak, bandwidth = (facts.get("peak_gops") or {}).get(precision), facts.get("memory_gb_s")
    if not peak or not bandwidth:
        return None
    return sum(
        1e3 * max(layer.operations / (1e9 * peak), BYTES[precision] * layer.elements / (1e9 * bandwidth))
        for layer in work
    )


def predictions(
    work: Sequence[LayerWork],
    boards: Sequence[tuple[str, Sequence[str], Mapping[str, Any]]],
    results: Sequence[Result],
) -> list[Prediction]:
    """Return the predictions of boards (name, precisions, facts); those without peaks are left out.

    `results` are measured; those of the same targets give the factors between bound and measurement.
    """
    found = []
    for target, precisions, facts in boards:
        for precision in precisions:
            bound = bound_ms(work, precision, facts)
            if bound is not None:
                measured = _measured_ms(results, target, precision)
                found.append(Prediction(target, precision, bound, measured))
    factors = [prediction.factor for prediction in found if prediction.factor is not None]
    if not factors:
        return found
    low, high = min(factors), max(factors)
    return [replace(each, low_ms=low * each.bound_ms, high_ms=high * each.bound_ms) for each in found]


def _measured_ms(results: Sequence[Result], target: str, precision: str) -> float | None:
    """Return the median inference time of the first result of a target and precision that ran, or None."""
    for result in results:
        asked = (result.bundle["target"], result.bundle["precision"]) == (target, precision)
        if asked and result.has_run and result.bench:
            return float(result.bench["latency"]["inference"]["p50_ms"])
    return None
