"""The sentences of a choice: recommendation with its reason, runner-up, and what int8 would need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...device.comparison.drift_parts import USER
from ...evaluation.intervals import NO_DIFFERENCE
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
    return f"On {machine}, {chosen.name} {_speed(chosen)}{_drift(chosen)}{_loss(chosen)}: take it."


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
        digits, found = quality.digits, quality.difference(second.result, chosen.result)
        text = f"{quality.label}: {figures[1]:.{digits}f} against {figures[0]:.{digits}f}"
        parts.append(text + (f", {NO_DIFFERENCE}" if found and found.is_open else ""))
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


def _loss(option: Option) -> str:
    """Return the loss of accuracy against the float network; empty for the float network itself."""
    loss = option.loss
    if loss is None or option.precision == "float32":
        return ""
    word = "gains" if loss.value < 0 else "loses"
    text = f"; against float32 it {word} {abs(loss.value):.1f} points of {loss.figure}"
    return text + (f", {NO_DIFFERENCE}" if loss.is_open else "")


def _pictures(drift: Mapping[str, Any]) -> str:
    data = drift.get("data") or {}
    return "your pictures" if data.get("kind") == USER else str(data.get("source") or "its pictures")
