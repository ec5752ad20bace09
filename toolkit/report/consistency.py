"""Measure a result again and check whether it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..device.bench import bench
from ..device.golden_check import verify_golden
from ..device.result import Result, describe_bundle
from ..device.timing.latency import COLUMNS
from ..device.timing.turns import BenchSettings
from ..errors import PosecError
from ..runtime.bundle import read_bundle

_REPEATABLE = 0.05  # MLPerf Mobile requires that a latency repeats within 5 %
_REPEATABLE_DRIFT_MM = 0.1
_MACHINE_FACTS = ("board", "cpu", "usable_cpus", "kernel", "python", "power_mode", "libraries")


class _BeforeNow(NamedTuple):
    """A figure of the earlier measurement, and of this one."""

    before: float
    now: float


class _Span(NamedTuple):
    """p10 and p90 of the medians of the rounds, in ms."""

    low: float
    high: float


@dataclass(frozen=True)
class Consistency:
    """Whether a result holds; True if it does.

    Attributes:
        contradictions: figures that do not hold.
        differences: changes of machine, versions or load that may explain it.
        p50_ms: before, and now.
    """

    contradictions: tuple[str, ...]
    differences: tuple[str, ...]
    p50_ms: _BeforeNow

    def __bool__(self) -> bool:
        return not self.contradictions

    def __str__(self) -> str:
        before, now = self.p50_ms
        verdict = "consistent" if self else "not consistent"
        lines = [f"{verdict}: p50 {before:.2f} ms before, {now:.2f} ms now"]
        lines += [f"  {each}" for each in self.contradictions]
        lines += [f"  different this time: {each}" for each in self.differences]
        return "\n".join(lines)


def measure_again(
    result: Result, bundle: str | Path, *, pictures: str | Path | None = None, threads: int | None = None
) -> Consistency:
    """Repeat the bench and the verification of a result, and compare.

    The latency holds if the new median is within 5 % of the span of the old rounds' medians (p10 to p90).
    The drift on the golden pictures holds if the verdict is the same and it changes by at most 0.1 mm.

    Args:
        result: the earlier measurement.
        bundle: the folder of the same bundle.
        pictures: those of the earlier measurement; None takes the bundle's golden pictures.
        threads: of the engine; None takes those of the result.

    Raises PosecError where the bundle or the pictures are others, or the bundle did not run before.
    """
    before = _check_bundle(result, bundle)
    asked = before["inputs"]
    size = asked["resized_to"]
    settings = BenchSettings(
        pictures=pictures or (),
        size=tuple(size) if size else None,
        seconds=asked["seconds"],
        frames_per_turn=asked["frames_per_turn"],
        threads=asked["threads"] if threads is None else threads,
    )
    (now,) = bench([bundle], settings=settings)
    if now["inputs"]["pictures"] != asked["pictures"]:
        raise PosecError("the pictures are not those that the result was measured with; name them")
    differences = _differences(before, now)
    if now["status"] != "ran":
        reason = f"it ran before and fails now: {now['reason']}"
        return Consistency((reason,), differences, _BeforeNow(_p50(before), float("nan")))
    contradictions = (*_latency_contradictions(before, now), *_drift_contradictions(result, bundle))
    return Consistency(contradictions, differences, _BeforeNow(_p50(before), _p50(now)))


def _check_bundle(result: Result, bundle: str | Path) -> Mapping[str, Any]:
    """Return the earlier measurement. Raises PosecError where it is of another bundle, or did not run."""
    sha256, earlier = describe_bundle(read_bundle(bundle))["sha256"], result.bundle["sha256"]
    if sha256 != earlier:
        raise PosecError(
            f"bundle '{bundle}' ({sha256[:12]}) is not the one that was measured ({earlier[:12]}); "
            "give that one"
        )
    if not result.bench or not result.has_run:
        raise PosecError(
            f"'{result.name}' did not run when it was measured, so there is nothing to repeat; "
            "measure it with `posec bench`"
        )
    return result.bench


def _latency_contradictions(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    low, high = _span(before)
    if low * (1 - _REPEATABLE) <= _p50(now) <= high * (1 + _REPEATABLE):
        return []
    return [f"latency p50 {_p50(now):.2f} ms; before, rounds had {low:.2f} to {high:.2f} ms"]


def _drift_contradictions(result: Result, bundle: str | Path) -> list[str]:
    # A drift by head was measured on other frames than the golden pictures.
    if not result.drift or result.drift["blame"]:
        return []
    drift = verify_golden(bundle)
    change_mm = abs(drift.drift_mm - (result.drift["drift_mm"] or 0.0))
    if bool(drift) == result.drift["within"] and not change_mm > _REPEATABLE_DRIFT_MM:
        return []
    return [f"{drift}; before: {result.drift['drift_mm']} mm, {result.verdict}"]


def _p50(measured: Mapping[str, Any]) -> float:
    return float(measured["latency"]["total"]["p50_ms"])


def _span(measured: Mapping[str, Any]) -> _Span:
    total = COLUMNS.index("total")
    medians = [np.median([frame[total] for frame in turn]) for turn in measured["samples"]["rounds"]]
    return _Span(*map(float, np.percentile(medians, (10, 90))))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the differences in machine, libraries, engine and load."""
    found = []
    for name in _MACHINE_FACTS:
        if before["machine"].get(name) != now["machine"].get(name):
            found.append(f"{name}: {before['machine'].get(name)} → {now['machine'].get(name)}")
    if before["engine"] != now["engine"]:
        found.append(f"engine: {before['engine']} → {now['engine']}")
    busy = _BeforeNow(*(_busy_share(measured) for measured in (before, now)))
    if abs(busy.before - busy.now) > 0.1:
        found.append(f"processors taken by others: {100 * busy.before:.0f} % → {100 * busy.now:.0f} %")
    return tuple(found)


def _busy_share(measured: Mapping[str, Any]) -> float:
    return float((measured["machine"].get("busy") or {}).get("others", 0.0))
