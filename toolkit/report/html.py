"""The report: results in, one self-contained page out. No script, no network, nothing to install."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from .. import __version__
from ..device.bench import COLUMNS
from ..device.result import Result, read_results
from ..errors import PosecError
from ..runtime.plain_files import write_plain
from . import tables
from .candidates import ENDING, ladder_section, read_ladders
from .charts import Line, Point, bars, lines, scatter, strips
from .formatting import THIN, milliseconds, number, percent, safe
from .instructions import ENDING as COUNTS_ENDING
from .instructions import instructions_section, read_instructions

PAGE = Path(__file__).parent / "page.html"
BUSY = 0.15
LEAST_SPAN = 10.0  # percentage points that the accuracy axis shows at least
ACCURACY = (
    (tables.SCENES, "pck_rel150", "PCK_rel@150 on rendered scenes, %", 1),
    (tables.PHOTOS, "oks50", "OKS.5 on photos, %", 100),
)


def write_report(
    results: str | Path | Sequence[Result],
    out: str | Path,
    title: str = "",
    ladders: Sequence[str | Path] = (),
) -> None:
    """Write the page whole or not at all.

    Args:
        results: what `measure_bundles` returned, or the folder or file that it wrote.
        out: the .html file.
        title: of the page; empty names the network.
        ladders: files that `posec export --precision auto` wrote, beside those in the folder of the results.

    Counts of instructions in that folder are shown, too. Raises PosecError where there are no results, or the file cannot be written.
    """
    found = read_results(results) if isinstance(results, (str, Path)) else list(results)
    if not found:
        raise PosecError("a report needs at least one result; make some with `posec bench`")
    folders = [Path(results)] if isinstance(results, (str, Path)) else []
    climbed = read_ladders(dict.fromkeys([*_beside(folders, ENDING), *map(Path, ladders)]))
    page = report_page(found, title, climbed, read_instructions(_beside(folders, COUNTS_ENDING)))
    try:
        write_plain(out, page)
    except OSError as error:
        raise PosecError(
            f"cannot write the report '{out}': {error.strerror}; name a file in a folder that exists"
        ) from error


def _beside(folders: Sequence[Path], ending: str) -> list[Path]:
    return sorted(path for folder in folders for path in folder.glob(f"*{ending}"))


def report_page(
    results: Sequence[Result],
    title: str = "",
    ladders: Sequence[Mapping[str, Any]] = (),
    counts: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the page as HTML."""
    ordered = sorted(results, key=lambda result: (result.bundle["target"], result.bundle["precision"]))
    network = str(ordered[0].bundle["name"])
    measured = sorted({str(result.bench["measured_at"])[:10] for result in ordered if result.bench})
    charts = "".join(
        _figure(*chart)
        for chart in (
            _truth(ordered),
            _samples(ordered),
            _blame(ordered),
            _crowd(ordered),
            *_sustained(ordered),
        )
        if chart[0]
    )
    accuracy = "".join(tables.accuracy(ordered, protocol) for protocol in (tables.SCENES, tables.PHOTOS))
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=safe(title or f"posec report: {network}"), network=safe(network), when=safe(", ".join(measured)), headline=safe(headline(ordered)),
        warnings=_warnings(ordered), pictures=_pictures(ordered), tiles=_tiles(ordered), overview=tables.overview(ordered), charts=charts,
        accuracy=f"<section><h2>Accuracy on labelled pictures</h2>{accuracy}</section>" if accuracy else "", ladders=ladder_section(ladders),
        instructions=instructions_section(counts), machines=tables.machines(ordered),
        bundles=tables.bundles(ordered), again=_again(ordered), version=safe(__version__),
    )  # fmt: skip


def best(results: Sequence[Result]) -> Result | None:
    """Return the fastest accepted result, or the fastest that ran."""
    ran = [result for result in results if result.bench and result.status == "ran"]
    return min([result for result in ran if result.verdict == "accepted"] or ran, key=_p50, default=None)


def headline(results: Sequence[Result]) -> str:
    """Return the one sentence to take away."""
    chosen = best(results)
    if chosen is None:
        return "Nothing ran."
    parts = [
        f"{chosen.bundle['precision']} on {chosen.bundle['target']} takes {milliseconds(_p50(chosen))} ms from picture to people"
    ]
    ratio = tables.float_ratio(chosen, results)
    if ratio:
        parts.append(f"{number(ratio['of_medians'], 2)} of float32's time")
    if chosen.drift:
        lost = percent(chosen.drift["people_lost"]) if chosen.drift["people_lost"] else "none"
        parts.append(
            f"{number(chosen.drift['drift_mm'])} mm from the float network, {lost} of its people lost"
        )
    return (
        ", ".join(parts)
        + {"accepted": ".", "rejected": ": over the allowance.", "not judged": ": not judged yet."}[
            chosen.verdict
        ]
    )


def _p50(result: Result) -> float:
    return float(result.bench["latency"]["total"]["p50_ms"]) if result.bench else float("inf")


def _kind(result: Result) -> str:
    """Return the style class of a precision; a precision that the style does not know looks like float32."""
    return (
        str(result.bundle["precision"])
        if result.bundle["precision"] in ("float32", "float16", "int8")
        else "float32"
    )


def _figure(drawing: str, heading: str, says: str) -> str:
    return f"<figure class='chart'><figcaption><h3>{safe(heading)}</h3><p>{safe(says)}</p></figcaption>{drawing}</figure>"


def _warnings(results: Sequence[Result]) -> str:
    said = [f"{result.name}: {result.status if result.status == 'failed' else result.verdict} – {result.reason}"
            for result in results if result.status == "failed" or result.verdict == "rejected"]  # fmt: skip
    busy = max(
        (((result.bench or {}).get("machine") or {}).get("busy") or {}).get("others", 0.0)
        for result in results
    )
    if busy > BUSY:
        said.append(f"Other processes took {percent(busy, 0)} of the processors while this was measured: latencies are upper bounds. "
                    "Compare processor time (cpu) instead.")  # fmt: skip
    return "".join(f"<p class='warning' role='note'>{safe(text)}</p>" for text in said)


def _pictures(results: Sequence[Result]) -> str:
    """Return the annotated pictures of the best result that has some, the first one large."""
    chosen = next((result for result in (best(results), *results) if result and result.pictures), None)
    if chosen is None:
        return ""
    shown = []
    for picture in chosen.pictures:
        try:
            sound = base64.b64decode(picture["jpeg"], validate=True)[:3] == b"\xff\xd8\xff"
        except (binascii.Error, ValueError):
            sound = False
        if sound:
            told = f"{picture['caption']}, found by {chosen.name}"
            shown.append(
                f"<figure><img src='data:image/jpeg;base64,{picture['jpeg']}' alt='{safe(told)}'><figcaption>{safe(told)}</figcaption></figure>"
            )
    return (
        f"<section class='pictures n{min(len(shown), 5)}' aria-label='What it sees'>{''.join(shown)}</section>"
        if shown
        else ""
    )


def _tiles(results: Sequence[Result]) -> str:
    chosen = best(results)
    if chosen is None or not chosen.bench:
        return ""
    drift, scenes = chosen.drift or {}, chosen.row(tables.SCENES)
    tiles = [
        (milliseconds(_p50(chosen)), "ms", "picture to people, p50"),
        (number(1000 / _p50(chosen), 0), "fps", "one picture after the other"),
        (number(drift.get("drift_mm")), "mm", "from the float network"),
        (percent(drift.get("people_lost")).rstrip(f"{THIN}%"), "%", "of its people lost"),
        (number(scenes.get("pck_rel150"), 0), "%", "PCK_rel@150, rendered scenes"),
        (number((chosen.bench["memory"] or {}).get("peak_mb"), 0), "MB", "peak memory"),
    ]
    body = "".join(
        f"<div><b>{value}<i>{unit}</i></b><span>{word}</span></div>"
        for value, unit, word in tiles
        if value != tables.DASH
    )
    return f"<section class='tiles' aria-label='{safe(chosen.name)}'>{body}</section><p class='of'>{safe(chosen.name)}, the fastest that is {safe(chosen.verdict)}</p>"


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
    marks = [Point(_p50(result), value, result.name, _kind(result), result.verdict != "accepted", result.bench["latency"]["total"]["p90_ms"])
             for result, value in points if result.bench]  # fmt: skip
    drawing = scatter(
        "Accuracy against latency", marks, ("ms per picture, p50 (whisker to p90)", label), least_span
    )
    return (
        drawing,
        "Accuracy against latency",
        "Circles are float32, squares float16, diamonds int8. Hollow: not accepted.",
    )


def _samples(results: Sequence[Result]) -> tuple[str, str, str]:
    total = COLUMNS.index("total")
    rows = [(result.name, _kind(result), [frame[total] for turn in result.bench["samples"]["rounds"] for frame in turn],
             [result.bench["latency"]["total"][name] for name in ("p50_ms", "p90_ms", "p99_ms")])
            for result in results if result.bench and result.status == "ran"]  # fmt: skip
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
    """Return how many millimetres each head is to blame for, of the result that drifts most."""
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
    says = f"What goes away when one head of {worst.name} is replaced by the float network's; {number(drift['drift_mm'], 2)} mm in all."
    return bars("Blame per head", rows, _kind(worst)), "Which head is to blame", says


def _crowd(results: Sequence[Result]) -> tuple[str, str, str]:
    costs = [
        (result, result.bench["decode_us"])
        for result in results
        if result.bench and result.bench.get("decode_us")
    ]
    if not costs:
        return "", "", ""
    result, rows = costs[0]
    drawn = [Line([(row["people"], row["p50_us"]) for row in rows], "p50", "plain")]
    share = (
        np.interp(5, [row["people"] for row in rows], [row["p50_us"] for row in rows]) / 1000 / _p50(result)
    )
    says = f"The network's time does not depend on the number of people; decoding five of them is {percent(share, 1)} of {result.name}'s frame."
    return (
        lines("Decoding by number of people", drawn, ("people in the picture", "µs")),
        "Decoding by number of people",
        says,
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
    says = "; ".join(
        f"{result.name}: × {number(run['slower'], 2)} after {number(run['seconds'], 0, 's')}"
        for result, run in runs
    )
    return [
        (
            lines(
                "Latency under sustained load", drawn, ("seconds without a pause", "ms, p50 of each second")
            ),
            "Sustained",
            says,
        )
    ]


def _again(results: Sequence[Result]) -> str:
    """Return the commands that measure the same again."""
    folders = " ".join(str(result.bundle.get("folder", "BUNDLE")) + "/" for result in results)
    return safe(f"posec bench {folders} -o results/\nposec report results/ -o report.html")
