"""The report: results in, one self-contained page out. No script, no network, nothing to install."""

from __future__ import annotations

import base64
import binascii
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from .. import __version__
from ..device.result import Result, read_results, titled
from ..errors import PosecError
from ..runtime.console import printable
from ..runtime.files.plain_files import write_plain
from . import tables
from .candidates import ENDING, ladder_section, read_ladders
from .figures import figures, total_p50_ms
from .formatting import THIN, milliseconds, number, percent, safe
from .instructions import ENDING as COUNTS_ENDING
from .instructions import instructions_section, read_instructions
from .provenance import bundles, machines

PAGE = Path(__file__).parent / "page.html"
BUSY = 0.15


def write_report(
    results: str | Path | Sequence[Result],
    out: str | Path,
    *,
    title: str = "",
    ladders: Sequence[str | Path] = (),
) -> None:
    """Write the page whole or not at all.

    Args:
        results: what `measure_bundles` returned, or the folder or file that it wrote.
        out: the .html file.
        title: of the page; empty names the network.
        ladders: files that `posec export --precision auto` wrote, beside those in the folder of the results.

    The page also shows instruction counts in that folder. Raises PosecError where there are no results, or the file cannot be written.
    """
    found = read_results(results) if isinstance(results, (str, Path)) else list(results)
    if not found:
        raise PosecError("a report needs at least one result; make some with `posec bench`")
    folders = [Path(results)] if isinstance(results, (str, Path)) else []
    _keep_inputs([*folders, *_beside(folders, ".json"), *map(Path, ladders)], Path(out))
    climbed = read_ladders(dict.fromkeys([*_beside(folders, ENDING), *map(Path, ladders)]))
    page = report_page(
        found, title=title, ladders=climbed, counts=read_instructions(_beside(folders, COUNTS_ENDING))
    )
    try:
        write_plain(out, page)
    except OSError as error:
        raise PosecError(f"cannot write the report '{out}': {error.strerror}; name another file") from error


def _keep_inputs(inputs: Sequence[Path], out: Path) -> None:
    """Refuse a page in place of one of its inputs. Raises PosecError."""
    if out.exists() and any(path.exists() and path.samefile(out) for path in inputs):
        raise PosecError(f"'{out}' is an input of this report; name another file for the page")


def _beside(folders: Sequence[Path], ending: str) -> list[Path]:
    return sorted(path for folder in folders for path in folder.glob(f"*{ending}"))


def report_page(
    results: Sequence[Result],
    *,
    title: str = "",
    ladders: Sequence[Mapping[str, Any]] = (),
    counts: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the page as HTML."""
    ordered = titled(
        sorted(
            results,
            key=lambda result: (result.bundle["target"], result.bundle["precision"], result.bundle["name"]),
        )
    )
    network = ", ".join(dict.fromkeys(str(result.bundle["name"]) for result in ordered))
    measured = sorted({str(result.bench["measured_at"])[:10] for result in ordered if result.bench})
    charts = figures(ordered)
    accuracy = "".join(tables.accuracy(ordered, protocol) for protocol in (tables.SCENES, tables.PHOTOS))
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=safe(title or f"posec report: {network}"),
        network=safe(network),
        when=safe(", ".join(measured)),
        headline=safe(headline(ordered)),
        warnings=_warnings(ordered),
        pictures=_pictures(ordered),
        tiles=_tiles(ordered),
        overview=tables.overview(ordered),
        charts=charts,
        accuracy=f"<section><h2>Accuracy on labelled pictures</h2>{accuracy}</section>" if accuracy else "",
        ladders=ladder_section(ladders),
        instructions=instructions_section(counts),
        machines=machines(ordered),
        bundles=bundles(ordered),
        again=_again(ordered),
        version=safe(__version__),
    )


def best(results: Sequence[Result]) -> Result | None:
    """Return the fastest accepted result, or the fastest that ran."""
    ran = [result for result in results if result.bench and result.status == "ran"]
    return min(
        [result for result in ran if result.verdict == "accepted"] or ran, key=total_p50_ms, default=None
    )


def headline(results: Sequence[Result]) -> str:
    """Return the main finding in one sentence."""
    chosen = best(results)
    if chosen is None:
        return "Nothing ran."
    parts = [
        f"{chosen.bundle['precision']} on {chosen.bundle['target']} takes {milliseconds(total_p50_ms(chosen))} ms from picture to people"
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


def _warnings(results: Sequence[Result]) -> str:
    notes = [
        f"{result.name}: {result.status if result.status == 'failed' else result.verdict} – {result.reason}"
        for result in results
        if result.status == "failed" or result.verdict == "rejected"
    ]
    busy = max(
        (((result.bench or {}).get("machine") or {}).get("busy") or {}).get("others", 0.0)
        for result in results
    )
    if busy > BUSY:
        notes.append(
            f"Other processes took {percent(busy, 0)} of the processors while this was measured: latencies are upper bounds. "
            "Compare processor time (cpu) instead."
        )
    return "".join(f"<p class='warning' role='note'>{safe(text)}</p>" for text in notes)


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
            caption = f"{picture['caption']}, found by {chosen.name}"
            shown.append(
                f"<figure><img src='data:image/jpeg;base64,{picture['jpeg']}' alt='{safe(caption)}'><figcaption>{safe(caption)}</figcaption></figure>"
            )
    return (
        f"<section class='pictures n{min(len(shown), 5)}' aria-label='Detected people'>{''.join(shown)}</section>"
        if shown
        else ""
    )


def _tiles(results: Sequence[Result]) -> str:
    chosen = best(results)
    if chosen is None or not chosen.bench:
        return ""
    drift, scenes = chosen.drift or {}, chosen.row(tables.SCENES)
    tiles = [
        (milliseconds(total_p50_ms(chosen)), "ms", "picture to people, p50"),
        (number(1000 / total_p50_ms(chosen), 0), "fps", "one picture after the other"),
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


def _again(results: Sequence[Result]) -> str:
    """Return the commands that repeat the measurement."""
    # Readers paste this into a shell; a folder's name comes from a file.
    folders = " ".join(
        shlex.quote(printable(str(result.bundle.get("folder", "BUNDLE"))) + "/") for result in results
    )
    return safe(f"posec bench {folders} -o results/\nposec report results/ -o report.html")
