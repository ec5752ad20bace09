"""Table of the report: one row per target and precision, with verdict, size, latency, drift and accuracy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...device.result import Result
from ...device.timing.worker import STAGES
from ..choosing.options import float_ratio, machine_name
from ..formatting import DASH, megabytes, milliseconds, number, percent, safe
from ..plots.bar_charts import stage_bar
from ..tables import pill, table
from .accuracy import PHOTOS, SCENES

_CAPTION = (
    "Status: whether the bundle ran. Verdict: whether its drift from the float network is within the limits. "
    "cpu: processor time per frame, summed over threads."
)


@dataclass(frozen=True)
class _Row:
    """A result, and what its cells need of the other results.

    Attributes:
        result: the result of this row.
        ratio: latency over that of float32, see `float_ratio`.
        longest_ms: the largest median latency of all rows, as wide as a full stage bar.
        machines: number of machines of all rows.
    """

    result: Result
    ratio: Mapping[str, float] | None
    longest_ms: float
    machines: int

    @property
    def latency(self) -> Mapping[str, Any]:
        return (self.result.bench or {}).get("latency") or {}

    @property
    def drift(self) -> Mapping[str, Any]:
        return self.result.drift or {}

    def latency_of(self, part: str, name: str) -> Any:
        return self.latency.get(part, {}).get(name)

    def scenes(self, name: str) -> Any:
        return self.result.row(SCENES).get(name)


def overview(results: Sequence[Result]) -> str:
    """Return the table as HTML."""
    machines = len({machine_name(result) for result in results})
    rows = [_Row(result, float_ratio(result, results), 0.0, machines) for result in results]
    longest_ms = max((row.latency_of("total", "p50_ms") for row in rows if row.latency), default=0.0)
    rows = [_Row(row.result, row.ratio, longest_ms, machines) for row in rows]
    cells = [[cell(row) for cell in _COLUMNS.values()] for row in rows]
    return table(list(_COLUMNS), cells, _CAPTION, kind="overview", numbered=True)


def _target(row: _Row) -> str:
    bundle, title = row.result.bundle, row.result.title
    machine = f"<small>{safe(machine_name(row.result))}</small>" if row.machines > 1 else ""
    lines = [f"<strong>{safe(bundle['target'])}</strong><small>{safe(bundle.get('engine', ''))}</small>"]
    return "".join([*lines, *([f"<small>{safe(title)}</small>"] if title else []), machine])


def _precision(row: _Row) -> str:
    bundle = row.result.bundle
    return f"{safe(bundle['precision'])}<small>{safe(bundle.get('scheme') or '')}</small>"


def _p50(row: _Row) -> str:
    cpu = milliseconds(row.latency_of("cpu", "p50_ms"))
    return milliseconds(row.latency_of("total", "p50_ms")) + _small("cpu", cpu)


def _stages(row: _Row) -> str:
    if not row.latency:
        return DASH
    return stage_bar([(stage, row.latency[stage]["p50_ms"]) for stage in STAGES], row.longest_ms)


def _over_float32(row: _Row) -> str:
    ratio = row.ratio
    if not ratio:
        return DASH
    spread = f"{number(ratio['p10'], 2)} to {number(ratio['p90'], 2)} over the rounds"
    cpu = _small("cpu ×", number(ratio.get("of_cpu"), 2))
    return f'<span title="{spread}">× {number(ratio["of_medians"], 2)}</span>{cpu}'


def _drift_mm(row: _Row) -> str:
    allowed = row.drift.get("allowed", {}).get("drift_mm")
    limit = "" if allowed is None else f"of {allowed:g}"
    return _limited(row, "drift_mm", figure=number(row.drift.get("drift_mm")), limit=limit)


def _share(name: str) -> Callable[[_Row], str]:
    """Return the cell of a share of people."""

    def cell(row: _Row) -> str:
        allowed = row.drift.get("allowed", {}).get(name)
        limit = "" if allowed is None else f"of {100 * allowed:g} %"
        return _limited(row, name, figure=percent(row.drift.get(name)), limit=limit)

    return cell


def _recall(row: _Row) -> str:
    photos = row.result.row(PHOTOS).get("centre_recall")
    return percent(row.result.row(SCENES).get("centre_recall", photos), 0)


def _limited(row: _Row, name: str, *, figure: str, limit: str) -> str:
    """Return a figure with its limit in small print, marked if it is over the limit."""
    if not limit:
        return figure
    missed = "missed" if name in row.drift.get("missed", ()) else ""
    return f'<span class="{missed}">{figure}</span><small>{limit}</small>'


def _small(label: str, figure: str) -> str:
    return "" if figure == DASH else f"<small>{label} {figure}</small>"


_COLUMNS: Mapping[str, Callable[[_Row], str]] = {
    "target": _target,
    "precision": _precision,
    "status": lambda row: pill(row.result.status, row.result.reason),
    "verdict": lambda row: pill(row.result.verdict, row.result.reason),
    "MB": lambda row: megabytes(row.result.bundle["model_bytes"]),
    "p50<br>ms": _p50,
    "p90<br>ms": lambda row: milliseconds(row.latency_of("total", "p90_ms")),
    "stages": _stages,
    "over<br>float32": _over_float32,
    "drift<br>mm": _drift_mm,
    "people<br>lost": _share("people_lost"),
    "people<br>invented": _share("people_invented"),
    "PCK<br>@150": lambda row: number(row.scenes("pck_rel150")),
    "MPJPE<br>mm": lambda row: number(row.scenes("mpjpe_mm"), 0),
    "recall": _recall,
}
