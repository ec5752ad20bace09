"""The report's charts: accuracy against latency, every frame, drift by head, decoding by people, sustained load."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..device.bench import COLUMNS
from ..device.result import Result
from . import tables
from .charts import Line, Point, bars, lines, scatter, strips
from .decode_lines import decode_lines
from .formatting import number, percent, safe

LEAST_SPAN = 10.0  # percentage points that the accuracy axis shows at least
ACCURACY = (
    (tables.SCENES, "pck_rel150", "PCK_rel@150 on rendered scenes, %", 1),
    (tables.PHOTOS, "oks50", "OKS.5 on photos, %", 100),
)


def figures(results: Sequence[Result]) -> str:
    """Return the charts of the results as HTML; one without data is left out."""
    charts = (_truth(results), _samples(results), _blame(results), _crowd(results), *_sustained(results))
    return "".join(_figure(*chart) for chart in charts if chart[0])


def total_p50_ms(result: Result) -> float:
    """Return the median latency of a picture; infinite where it was not measured."""
    return float(result.bench["latency"]["total"]["p50_ms"]) if result.bench else float("inf")


def _kind(result: Result) -> str:
    """Return the style class of a precision; a precision that the style does not know looks like float32."""
    return (
        str(result.bundle["precision"])
        if result.bundle["precision"] in ("float32", "float16", "bfloat16", "int8")
        else "float32"
    )


def _figure(drawing: str, heading: str, caption: str) -> str:
    return f"<figure class='chart'><figcaption><h3>{safe(heading)}</h3><p>{safe(caption)}</p></figcaption>{drawing}</figure>"


def _truth(results: Sequence[Result]) -> tuple[str, str, str]:
    """Return accuracy against latency, by the first measure that any result has; drift where none has one."""
    ran = [result for result in results if result.bench and result.status == "ran"]
    for protocol, name, axis, scale in ACCURACY:
        points = [
            (result, result.row(protocol)[name] * scale)
            for result in ran
            if result.row(protocol).get(name) is not None
        ]
        if points:
            label, least_span = axis, LEAST_SPAN
            break
    else:
        label, least_span = "drift from float32, mm", 0.0
        points = [
            (result, result.drift["drift_mm"])
            for result in ran
            if result.drift and result.drift["drift_mm"] is not None
        ]
    if not points:
        return "", "", ""
    marks = [
        Point(
            total_p50_ms(result),
            value,
            result.name,
            _kind(result),
            result.verdict != "accepted",
            result.bench["latency"]["total"]["p90_ms"],
        )
        for result, value in points
        if result.bench
    ]
    drawing = scatter(
        "Accuracy against latency",
        marks,
        ("ms per picture, p50 (whisker to p90)", label),
        least_span=least_span,
    )
    return (
        drawing,
        "Accuracy against latency",
        "Circles are float32, squares float16 and bfloat16, diamonds int8. Hollow: not accepted.",
    )


def _samples(results: Sequence[Result]) -> tuple[str, str, str]:
    total = COLUMNS.index("total")
    rows = [
        (
            result.name,
            _kind(result),
            [frame[total] for turn in result.bench["samples"]["rounds"] for frame in turn],
            [result.bench["latency"]["total"][name] for name in ("p50_ms", "p90_ms", "p99_ms")],
        )
        for result in results
        if result.bench and result.status == "ran"
    ]
    return (
        (
            strips("Latency of every frame", rows),
            "Every frame that was measured",
            "A tick is a frame; bundles took turns, a few frames each.",
        )
        if rows
        else ("", "", "")
    )


def _blame(results: Sequence[Result]) -> tuple[str, str, str]:
    """Return the drift by head, of the result with the largest drift."""
    blamed = [
        result
        for result in results
        if result.drift and result.drift["blame"] and result.drift["drift_mm"] is not None
    ]
    if not blamed:
        return "", "", ""
    worst = max(blamed, key=lambda result: result.drift["drift_mm"] if result.drift else 0.0)
    drift = worst.drift or {}
    rows = []
    for head, repair in drift["blame"].items():
        gone_mm, gone = (
            drift["drift_mm"] - (repair["drift_mm"] or 0.0),
            drift["people_lost"] - repair["people_lost"],
        )
        rows.append(
            (
                head,
                gone_mm,
                f"{gone_mm:.2f} mm" + (f", {100 * gone:.1f} % of people" if abs(gone) > 1e-9 else ""),
            )
        )
    caption = f"Drift removed when one head of {worst.name} is replaced by the float head; {number(drift['drift_mm'], 2)} mm in total."
    return bars("Drift by head", rows, _kind(worst)), "Drift by head", caption


def _crowd(results: Sequence[Result]) -> tuple[str, str, str]:
    costs = [
        (result, result.bench["decode_us"])
        for result in results
        if result.bench and result.bench.get("decode_us")
    ]
    if not costs:
        return "", "", ""
    result, rows = costs[0]
    drawn = decode_lines(rows)
    share = (
        np.interp(5, [row["people"] for row in rows], [row["p50_us"] for row in rows])
        / 1000
        / total_p50_ms(result)
    )
    caption = f"Inference does not depend on the number of people; decoding five people takes {percent(share, 1)} of a frame of {result.name}."
    return (
        lines("Decoding by number of people", drawn, ("people in the picture", "µs")),
        "Decoding by number of people",
        caption,
    )


def _sustained(results: Sequence[Result]) -> list[tuple[str, str, str]]:
    runs = [
        (result, result.bench["sustained"])
        for result in results
        if result.bench and result.bench.get("sustained")
    ]
    if not runs:
        return []
    drawn = [
        Line([(entry["at_s"], entry["p50_ms"]) for entry in run["slices"]], result.name, _kind(result))
        for result, run in runs
    ]
    caption = "; ".join(
        f"{result.name}: × {number(run['slower'], 2)} after {number(run['seconds'], 0, 's')}"
        for result, run in runs
    )
    return [
        (
            lines(
                "Latency under sustained load",
                drawn,
                ("seconds of continuous work", "ms, p50 of each second"),
            ),
            "Sustained",
            caption,
        )
    ]
