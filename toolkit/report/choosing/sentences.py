"""The sentences of a choice: recommendation with its reason, runner-up, and what int8 would need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...device.comparison.drift_parts import USER
from .budgets import Gap
from .measures import BUDGET_MS, DRIFT_MM, Measure
from .options import Option

_Outside = Sequence[tuple[Option, tuple[Gap, ...]]]


def recommendation(inside: Sequence[Option], outside: _Outside, machine: str) -> str:
    """Return the recommendation in one sentence with its reason, or why there is none."""
    if not inside:
        if not outside:
            return f"On {machine} nothing was measured."
        nearest, missed = min(outside, key=lambda entry: len(entry[1]))
        reasons = "; ".join(gap.reason for gap in missed)
        return f"On {machine} nothing is within the limits; the nearest is {nearest.name} ({reasons})."
    chosen = inside[0]
    return f"On {machine}, {chosen.name} {_speed(chosen)}{_drift(chosen)}: take it."


def runner_up_sentence(inside: Sequence[Option], quality: Measure) -> str:
    """Return the runner-up and its difference to the recommended option; empty without one."""
    if len(inside) < 2:
        return ""
    chosen, second = inside[:2]
    parts = []
    values = [option.values.get(BUDGET_MS.key) for option in (chosen, second)]
    if values[0] and values[1]:
        parts.append(f"{values[1]:.1f} ms, {values[1] / values[0]:.2f} times as long")
    figures = [option.values.get(quality.key) for option in (chosen, second)]
    if figures[0] is not None and figures[1] is not None:
        digits = quality.digits
        text = f"{quality.label}: {figures[1]:.{digits}f} against {figures[0]:.{digits}f}"
        parts.append(
            text + (", no difference that these data show" if _overlap(chosen, second, quality) else "")
        )
    return f"Runner-up: {second.name} ({'; '.join(parts)})." if parts else f"Runner-up: {second.name}."


def int8_sentence(options: Sequence[Option], inside: Sequence[Option], outside: _Outside) -> str:
    """Return what would have to change for int8 to be recommended; empty if it is."""
    if not options or (inside and inside[0].precision == "int8"):
        return ""
    candidates = [option for option in options if option.precision == "int8"]
    if not candidates:
        return "No int8 bundle was measured on this machine: export one and bench it beside the others."
    missed = {id(option): gaps for option, gaps in outside}
    best = min(candidates, key=lambda option: option.values.get(BUDGET_MS.key, float("inf")))
    needs = [gap.needs for gap in missed.get(id(best), ())]
    mine = best.values.get(BUDGET_MS.key)
    fastest = inside[0].values.get(BUDGET_MS.key) if inside else None
    if mine is not None and fastest is not None and mine > fastest:
        needs.append(f"its p90 of {mine:.1f} ms has to fall below the {fastest:.1f} ms of {inside[0].name}")
    if not needs:
        needs = [f"{inside[0].name} is about as fast and more accurate; it has to be clearly faster"]
    return f"For {best.name} to win: {'; '.join(needs)}."


def _overlap(one: Option, other: Option, measure: Measure) -> bool:
    """Return whether the confidence intervals of two options overlap; False where one has none."""
    a, b = measure.interval(one.result), measure.interval(other.result)
    return a is not None and b is not None and a.low <= b.high and b.low <= a.high


def _speed(option: Option) -> str:
    ms = option.values.get(BUDGET_MS.key)
    took = "was not timed" if ms is None else f"takes {ms:.1f} ms per picture (p90)"
    return took if option.ratio is None else f"{took}, {option.ratio:.2f} of float32's time,"


def _drift(option: Option) -> str:
    drift: Mapping[str, Any] = option.result.drift or {}
    mm, own = option.values.get(DRIFT_MM.key), drift.get("unsteadiness") or {}
    if mm is None:
        return ""
    if mm < 0.05:
        return " and moves people by less than 0.1 mm"
    text = f" and moves people by {mm:.1f} mm on {_pictures(drift)}"
    if own.get("drift_mm") is not None:
        text += f", where a shift of the picture by one pixel moves them by {own['drift_mm']:.1f} mm"
    return text


def _pictures(drift: Mapping[str, Any]) -> str:
    data = drift.get("data") or {}
    return "your pictures" if data.get("kind") == USER else str(data.get("source") or "its pictures")
