"""Measure a result again and check whether it holds. Valid Python 3.8: a board runs this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..device.bench import COLUMNS, BenchSettings, bench
from ..device.golden_check import verify_golden
from ..device.result import Result, describe_bundle
from ..errors import PosecError
from ..runtime.bundle import read_bundle

REPEATABLE = 0.05  # MLPerf Mobile asks that a latency repeats within 5 %
DRIFT_REPEATS_MM = 0.1


@dataclass(frozen=True)
class Consistency:
    """Whether a result holds; true where it does.

    Attributes:
        contradictions: figures that do not hold.
        differences: machine, versions or load that differ this time and may explain it.
        p50_ms: before, and now.
    """

    contradictions: tuple[str, ...]
    differences: tuple[str, ...]
    p50_ms: tuple[float, float]

    def __bool__(self) -> bool:
        return not self.contradictions

    def __str__(self) -> str:
        before, now = self.p50_ms
        text = f"{'consistent' if self else 'not consistent'}: p50 {before:.2f} ms before, {now:.2f} ms now"
        for word, lines in (("", self.contradictions), ("different this time: ", self.differences)):
            text += "".join(f"\n  {word}{line}" for line in lines)
        return text


def measure_again(
    result: Result, bundle: str | Path, *, pictures: str | Path | None = None, threads: int | None = None
) -> Consistency:
    """Repeat the bench and the verification of a result, and compare.

    The latency holds when the new median lies within 5 % of the span of the old rounds' medians (p10 to p90); the drift on
    the golden pictures when the verdict is the same.

    Args:
        result: what was measured before.
        bundle: the folder of the same bundle.
        pictures: those that the result was measured with; None takes the bundle's golden pictures.
        threads: of the engine; None takes those of the result.

    Raises PosecError where the bundle is another one, the pictures are others, or it did not run before.
    """
    described = describe_bundle(read_bundle(bundle))
    if described["sha256"] != result.bundle["sha256"]:
        raise PosecError(
            f"bundle '{bundle}' is not the one that was measured ({described['sha256'][:12]}, then {result.bundle['sha256'][:12]}); give that one"
        )
    if not result.bench or result.status != "ran":
        raise PosecError(
            f"'{result.name}' did not run when it was measured, so there is nothing to repeat; measure it with `posec bench`"
        )
    before, asked = result.bench, result.bench["inputs"]
    settings = BenchSettings(
        pictures or (),
        tuple(asked["resized_to"]) if asked["resized_to"] else None,
        asked["seconds"],
        asked["frames_per_turn"],
        asked["threads"] if threads is None else threads,
    )
    (now,) = bench([bundle], settings=settings)
    if now["inputs"]["pictures"] != asked["pictures"]:
        raise PosecError("the pictures are not those that the result was measured with; name them")
    if now["status"] != "ran":
        return Consistency(
            (f"it ran before and fails now: {now['reason']}",),
            _differences(before, now),
            (_p50(before), float("nan")),
        )
    contradictions = []
    low, high = _span(before)
    if not low * (1 - REPEATABLE) <= _p50(now) <= high * (1 + REPEATABLE):
        contradictions.append(
            f"latency p50 {_p50(now):.2f} ms; before, rounds had {low:.2f} to {high:.2f} ms"
        )
    if (
        result.drift and not result.drift["blame"]
    ):  # with blame it was compared on other frames than the golden ones
        drift = verify_golden(bundle)
        if (
            bool(drift) != result.drift["within"]
            or abs(drift.drift_mm - (result.drift["drift_mm"] or 0.0)) > DRIFT_REPEATS_MM
        ):
            contradictions.append(f"{drift}; before: {result.drift['drift_mm']} mm, {result.verdict}")
    return Consistency(tuple(contradictions), _differences(before, now), (_p50(before), _p50(now)))


def _p50(measured: Mapping[str, Any]) -> float:
    return float(measured["latency"]["total"]["p50_ms"])


def _span(measured: Mapping[str, Any]) -> tuple[float, float]:
    """Return p10 and p90 of the medians of the rounds."""
    medians = [
        np.median([frame[COLUMNS.index("total")] for frame in turn]) for turn in measured["samples"]["rounds"]
    ]
    low, high = np.percentile(medians, (10, 90))
    return float(low), float(high)


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the differences in machine, libraries, engine and load."""
    found = []
    for name in ("board", "cpu", "usable_cpus", "kernel", "python", "power_mode", "libraries"):
        if before["machine"].get(name) != now["machine"].get(name):
            found.append(f"{name}: {before['machine'].get(name)} → {now['machine'].get(name)}")
    if before["engine"] != now["engine"]:
        found.append(f"engine: {before['engine']} → {now['engine']}")
    then, today = (
        float((measured["machine"].get("busy") or {}).get("others", 0.0)) for measured in (before, now)
    )
    if abs(then - today) > 0.1:
        found.append(f"processors taken by others: {100 * then:.0f} % → {100 * today:.0f} %")
    return tuple(found)
