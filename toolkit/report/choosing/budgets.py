"""Budgets: limits on latency, drift and accuracy, and the reasons why an option is outside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from ...device.drift import RATIO_LIMIT
from ...device.result import Result
from ...errors import PosecError
from ...evaluation.intervals import NO_DIFFERENCE
from .measures import BUDGET_MS, DRIFT_MM, DRIFT_RATIO, PCK, accuracy_key
from .options import Option


@dataclass(frozen=True)
class Budgets:
    """Limits that the user sets; None sets none.

    Attributes:
        max_ms: of the latency, see `measures.budget_ms`.
        max_drift_mm: of the drift from the float network; replaces the bundle's own limit.
        max_drift_ratio: of the drift over the float network's unsteadiness; replaces the limit in mm.
        min_pck: of PCK_rel@150 on `protocol`, in percent.
        max_loss: of `Option.loss`, in percentage points.
        protocol: of the accuracy.
        allow_noisy: whether to choose among results that are too noisy to trust.
    """

    max_ms: float | None = None
    max_drift_mm: float | None = None
    max_drift_ratio: float | None = None
    min_pck: float | None = None
    max_loss: float | None = None
    protocol: str = ""
    allow_noisy: bool = False

    def __post_init__(self) -> None:
        for name in ("max_ms", "max_drift_mm", "max_drift_ratio", "min_pck"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise PosecError(f"--{name.replace('_', '-')} must be a number from 0 on, got {value:g}")
        if self.max_loss is not None and not math.isfinite(self.max_loss):
            raise PosecError(f"--max-loss must be a number, got {self.max_loss:g}")

    @property
    def asks_accuracy(self) -> bool:
        """Whether there is a limit on accuracy."""
        return self.min_pck is not None or self.max_loss is not None

    def lines(self) -> dict[str, float]:
        """Return key of a measure → limit, of the limits that are a line in a plot."""
        limits = {
            BUDGET_MS.key: self.max_ms,
            DRIFT_MM.key: self.max_drift_mm,
            DRIFT_RATIO.key: self.max_drift_ratio,
            accuracy_key(self.protocol, PCK): self.min_pck,
        }
        return {key: limit for key, limit in limits.items() if limit is not None}


class Gap(NamedTuple):
    """A limit that an option misses: the figure, and what would have to change."""

    reason: str
    needs: str


def gaps(option: Option, budgets: Budgets) -> list[Gap]:
    """Return the limits that an option misses; none for an option within all of them."""
    result = option.result
    if not result.has_run:
        return [Gap(f"{result.status}: {result.reason}", "it has to run")]
    found = []
    if result.noise and not budgets.allow_noisy:
        found.append(Gap(f"too noisy to trust: {result.noise}", "measure it again on a quiet machine"))
    found += _latency_gaps(option, budgets)
    found += _drift_gaps(option, budgets)
    if budgets.asks_accuracy:
        found += _accuracy_gaps(option, budgets)
    return found


def _latency_gaps(option: Option, budgets: Budgets) -> list[Gap]:
    value = option.values.get(BUDGET_MS.key)
    if budgets.max_ms is None or (value is not None and value <= budgets.max_ms):
        return []
    if value is None:
        return [Gap("latency not measured", "measure it with `posec bench`")]
    return [
        Gap(
            f"p90 {value:.1f} ms, allowed {budgets.max_ms:g}",
            f"its p90 has to fall by {value - budgets.max_ms:.1f} ms",
        )
    ]


def _drift_gaps(option: Option, budgets: Budgets) -> list[Gap]:
    """Return the gaps of the drift; a budget replaces the target's limit of drift, not those of people."""
    drift = option.result.drift
    if drift is None:
        return [Gap(f"drift not judged: {option.result.reason}", "judge it with `posec bench --frames`")]
    limits = [
        (budgets.max_drift_mm, DRIFT_MM.key, "drift", " mm"),
        (budgets.max_drift_ratio, DRIFT_RATIO.key, "drift over the network's own unsteadiness", ""),
    ]
    found = []
    for limit, key, name, unit in limits:
        value = option.values.get(key)
        if limit is None or (value is not None and value <= limit):
            continue
        if value is None:
            found.append(Gap(f"{name} not measured", "judge it with `posec bench --frames`"))
        else:
            needs = f"its {name} has to fall by {value - limit:.2g}{unit}"
            found.append(Gap(f"{name} {value:.2f}{unit}, allowed {limit:g}", needs))
    replaced = () if all(limit is None for limit, *_ in limits) else (DRIFT_MM.key, RATIO_LIMIT)
    missed = [
        name
        for name in drift["missed"]
        if name not in replaced and not _is_within_ratio(drift, name, budgets.max_drift_ratio)
    ]
    return [*found, *(_own_gap(option.result, name) for name in missed)]


def _is_within_ratio(drift: Mapping[str, Any], name: str, ratio: float | None) -> bool:
    """Return whether a share of people is within `ratio` times the network's own; see `Drift.limit`."""
    own = (drift.get("unsteadiness") or {}).get(name)
    return ratio is not None and own is not None and drift[name] <= ratio * own


def _own_gap(result: Result, name: str) -> Gap:
    """Return the gap to a limit of the bundle itself."""
    assert result.drift is not None
    value, allowed = result.drift.get(name), result.drift["allowed"].get(name)
    scale, unit = (100.0, " %") if name.startswith("people") else (1.0, " mm" if name.endswith("mm") else "")
    word = name.removesuffix("_mm").replace("_", " ")
    if value is None or allowed is None:
        return Gap(f"{word} cannot be measured", f"its {word} has to be measured")
    return Gap(
        f"{word} {scale * value:.1f}{unit}, the target allows {scale * allowed:g}",
        f"its {word} has to fall by {scale * (value - allowed):.1f}{unit}",
    )


def _accuracy_gaps(option: Option, budgets: Budgets) -> list[Gap]:
    found, value = [], option.values.get(accuracy_key(budgets.protocol, PCK))
    where = budgets.protocol or "labelled pictures"
    if budgets.min_pck is not None and value is None:
        found.append(Gap(f"PCK_rel@150 not measured on {where}", "measure it"))
    elif budgets.min_pck is not None and value is not None and value < budgets.min_pck:
        short = budgets.min_pck - value
        reason = f"PCK_rel@150 {value:.1f} %, asked {budgets.min_pck:g}"
        found.append(Gap(reason, f"its PCK has to rise by {short:.1f} points"))
    if budgets.max_loss is not None:
        loss = option.loss
        if loss is None:
            found.append(Gap(f"no accuracy of float32 and of it on {where}", "measure both in one bench"))
        elif loss.value > budgets.max_loss:
            reason = (
                f"{loss.value:.1f} points of {loss.figure} less than float32, allowed {budgets.max_loss:g}"
            )
            needs = f"its loss has to fall by {loss.value - budgets.max_loss:.1f} points"
            found.append(Gap(reason + (f", {NO_DIFFERENCE}" if loss.is_open else ""), needs))
    return found
