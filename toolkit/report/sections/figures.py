"""Charts of the report: accuracy against latency, every frame, drift by head, decoding, sustained load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...device.result import Result
from ...device.timing.latency import COLUMNS
from ..formatting import number, percent, safe
from ..plots.bar_charts import Bar, Strip, bars, strips
from ..plots.charts import AxisLabels, Line, Point, lines, scatter
from ..plots.decode_lines import decode_lines
from .accuracy import PHOTOS, SCENES

_LEAST_SPAN = 10.0  # percentage points that the accuracy axis shows at least
_PRECISIONS = ("float32", "float16", "bfloat16", "int8")  # with a style of their own


class _Figure(NamedTuple):
    """A chart with its heading and caption."""

    drawing: str
    heading: str
    caption: str


class _Measure(NamedTuple):
    """A measure of accuracy, and the name of its axis; `scale` makes it a percentage."""

    protocol: str
    name: str
    axis: str
    scale: float


_MEASURES = (
    _Measure(SCENES, "pck_rel150", "PCK_rel@150 on rendered scenes, %", 1),
    _Measure(PHOTOS, "oks50", "OKS.5 on photos, %", 100),
)


class _Accuracy(NamedTuple):
    """One accuracy value per result, and how its axis is drawn."""

    values: Sequence[tuple[Result, float]]
    axis: str
    least_span: float


def figures(results: Sequence[Result]) -> str:
    """Return the charts of the results as HTML; charts without data are left out."""
    measured = [result for result in results if result.bench]
    ran = [result for result in measured if result.status == "ran"]
    charts = (
        _accuracy_against_latency(ran),
        _every_frame(ran),
        _drift_by_head(results),
        _decoding(measured),
        _sustained(measured),
    )
    return "".join(_html(chart) for chart in charts if chart)


def total_p50_ms(result: Result) -> float:
    """Return the median latency of a picture; infinity where it was not measured."""
    return float(result.bench["latency"]["total"]["p50_ms"]) if result.bench else float("inf")


def _html(chart: _Figure) -> str:
    caption = f"<figcaption><h3>{safe(chart.heading)}</h3><p>{safe(chart.caption)}</p></figcaption>"
    return f"<figure class='chart'>{caption}{chart.drawing}</figure>"


def _style(result: Result) -> str:
    """Return the style class of a precision; an unknown precision looks like float32."""
    precision = str(result.bundle["precision"])
    return precision if precision in _PRECISIONS else "float32"


def _bench(result: Result) -> Any:
    assert result.bench is not None
    return result.bench


def _accuracy_against_latency(ran: Sequence[Result]) -> _Figure | None:
    accuracy = _accuracy(ran)
    if not accuracy.values:
        return None
    marks = [
        Point(
            total_p50_ms(result),
            value,
            result.name,
            _style(result),
            hollow=result.verdict != "accepted",
            reach=_bench(result)["latency"]["total"]["p90_ms"],
        )
        for result, value in accuracy.values
    ]
    heading = "Accuracy against latency"
    labels = AxisLabels("ms per picture, p50 (whisker to p90)", accuracy.axis)
    drawing = scatter(heading, marks, labels, least_span=accuracy.least_span)
    return _Figure(
        drawing,
        heading,
        "Circles are float32, squares float16 and bfloat16, diamonds int8. Hollow: not accepted.",
    )


def _accuracy(ran: Sequence[Result]) -> _Accuracy:
    """Return the first measure that any result has; the drift where no result has one."""
    for protocol, name, axis, scale in _MEASURES:
        rows = [(result, result.row(protocol).get(name)) for result in ran]
        values = [(result, value * scale) for result, value in rows if value is not None]
        if values:
            return _Accuracy(values, axis, _LEAST_SPAN)
    drifts = [(result, (result.drift or {}).get("drift_mm")) for result in ran]
    values = [(result, drift) for result, drift in drifts if drift is not None]
    return _Accuracy(values, "drift from float32, mm", 0.0)


def _every_frame(ran: Sequence[Result]) -> _Figure | None:
    if not ran:
        return None
    total, rows = COLUMNS.index("total"), []
    for result in ran:
        latency = _bench(result)["latency"]["total"]
        samples = [frame[total] for turn in _bench(result)["samples"]["rounds"] for frame in turn]
        percentiles = [latency[name] for name in ("p50_ms", "p90_ms", "p99_ms")]
        rows.append(Strip(result.name, _style(result), samples, percentiles))
    caption = "A tick is a frame. Bundles took turns of a few frames each."
    return _Figure(strips("Latency of every frame", rows), "Latency of every frame", caption)


def _drift_by_head(results: Sequence[Result]) -> _Figure | None:
    """Return the drift by head of the result with the largest drift."""
    drifts = [(result, result.drift) for result in results if result.drift and result.drift["blame"]]
    drifts = [(result, drift) for result, drift in drifts if drift["drift_mm"] is not None]
    if not drifts:
        return None
    worst, drift = max(drifts, key=lambda pair: pair[1]["drift_mm"])
    rows = []
    for head, remaining in drift["blame"].items():
        removed_mm = drift["drift_mm"] - (remaining["drift_mm"] or 0.0)
        removed = drift["people_lost"] - remaining["people_lost"]
        people = f", {100 * removed:.1f} % of people" if abs(removed) > 1e-9 else ""
        rows.append(Bar(head, removed_mm, f"{removed_mm:.2f} mm{people}"))
    caption = (
        f"Drift removed when one head of {worst.name} is replaced by the float head; "
        f"{number(drift['drift_mm'], 2)} mm in total."
    )
    return _Figure(bars("Drift by head", rows, _style(worst)), "Drift by head", caption)


def _decoding(measured: Sequence[Result]) -> _Figure | None:
    result = next((result for result in measured if _bench(result).get("decode_us")), None)
    if result is None:
        return None
    costs = [(row["people"], row["p50_us"]) for row in _bench(result)["decode_us"]]
    decode_us = np.interp(5, [people for people, _ in costs], [cost for _, cost in costs])
    share = float(decode_us) / 1000 / total_p50_ms(result)
    caption = (
        "Inference time does not depend on the number of people. "
        f"Decoding five people takes {percent(share, 1)} of a frame of {result.name}."
    )
    heading, labels = "Decoding by number of people", AxisLabels("people in the picture", "µs")
    return _Figure(lines(heading, decode_lines(_bench(result)["decode_us"]), labels), heading, caption)


def _sustained(measured: Sequence[Result]) -> _Figure | None:
    runs = [(result, run) for result in measured if (run := _bench(result).get("sustained"))]
    if not runs:
        return None
    drawn = [Line(list(_slices(run)), result.name, _style(result)) for result, run in runs]
    caption = "; ".join(
        f"{result.name}: × {number(run['slower'], 2)} after {number(run['seconds'], 0, 's')}"
        for result, run in runs
    )
    labels = AxisLabels("seconds of continuous work", "ms, p50 of each second")
    return _Figure(lines("Latency under sustained load", drawn, labels), "Sustained load", caption)


def _slices(run: Any) -> Iterator[tuple[float, float]]:
    return ((entry["at_s"], entry["p50_ms"]) for entry in run["slices"])
