"""Charts of the report: every frame, drift by head, decoding, sustained load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...device.result import Result
from ...device.timing.latency import COLUMNS
from ..formatting import number, percent, safe
from ..plots.bar_charts import Bar, Strip, bars, strips
from ..plots.charts import AxisLabels, Line, lines
from ..plots.decode_lines import decode_lines
from ..plots.frame_split import draw_frame_splits, frame_splits
from ..plots.styles import precision_style


class _Figure(NamedTuple):
    """A chart with its heading and caption."""

    drawing: str
    heading: str
    caption: str


def figures(results: Sequence[Result]) -> str:
    """Return the charts of the results as HTML; charts without data are left out."""
    measured = [result for result in results if result.bench]
    ran = [result for result in measured if result.has_run]
    charts = (
        _every_frame(ran),
        _drift_by_head(results),
        _frame_split(ran),
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


def _bench(result: Result) -> Any:
    assert result.bench is not None
    return result.bench


def _every_frame(ran: Sequence[Result]) -> _Figure | None:
    if not ran:
        return None
    total, rows = COLUMNS.index("total"), []
    for result in ran:
        latency = _bench(result)["latency"]["total"]
        samples = [frame[total] for turn in _bench(result)["samples"]["rounds"] for frame in turn]
        percentiles = [latency[name] for name in ("p50_ms", "p90_ms", "p99_ms")]
        rows.append(Strip(result.name, precision_style(result), samples, percentiles))
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
    return _Figure(bars("Drift by head", rows, precision_style(worst)), "Drift by head", caption)


def _frame_split(ran: Sequence[Result]) -> _Figure | None:
    splits = frame_splits([(result.name, _bench(result)) for result in ran])
    if not splits:
        return None
    caption = (
        "Median of each stage. With overlap a picture is decoded while the next is inferred; the line "
        "marks the time from one picture to the next."
    )
    heading = "A frame by stage"
    return _Figure(draw_frame_splits(heading, splits), heading, caption)


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
    drawn = [Line(list(_slices(run)), result.name, precision_style(result)) for result, run in runs]
    caption = "; ".join(
        f"{result.name}: × {number(run['slower'], 2)} after {number(run['seconds'], 0, 's')}"
        for result, run in runs
    )
    labels = AxisLabels("seconds of continuous work", "ms, p50 of each second")
    return _Figure(lines("Latency under sustained load", drawn, labels), "Sustained load", caption)


def _slices(run: Any) -> Iterator[tuple[float, float]]:
    return ((entry["at_s"], entry["p50_ms"]) for entry in run["slices"])
