"""The ladders of `posec export --precision auto` in the report: every rung that was tried, and why it was taken or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..device.checked_files import Kind, read_checked
from .formatting import milliseconds, number, percent, safe
from .tables import pill, table

FORMAT = 1
ENDING = ".ladder.json"
KIND = Kind("ladder", FORMAT, 16 << 20, "`posec export --precision auto`")


def read_ladders(paths: Iterable[str | Path]) -> list[Mapping[str, Any]]:
    """Read files that `posec export --precision auto` wrote. Raises PosecError where one is missing, newer, or of another form."""
    return [read_checked(Path(path), KIND, _checked) for path in paths]


def _checked(plain: Mapping[str, Any]) -> Mapping[str, Any]:
    ladder_section([plain])  # so that a file that lacks what the report shows is refused here
    return dict(plain)


def ladder_section(ladders: Sequence[Mapping[str, Any]]) -> str:
    """Return the section as HTML; empty where there are no ladders."""
    if not ladders:
        return ""
    headings = (
        "rung",
        "verdict",
        "",
        "drift<br>mm",
        "p95<br>mm",
        "people<br>lost",
        "people<br>invented",
        "p50<br>ms",
        "over<br>float32",
        "float layers",
    )
    shown = []
    for ladder in ladders:
        rows = [_row(rung) for rung in ladder["rungs"]]
        taken = (
            f"taken: {ladder['taken']}"
            if ladder["taken"]
            else "none keeps the allowance, nothing was exported"
        )
        caption = (f"{ladder['network']} for {ladder['target']}, judged on {ladder['judged_on']['frames']} pictures of "
                   f"{ladder['judged_on']['source']}: {taken}. Latency on the machine that exported.")  # fmt: skip
        shown.append(table(headings, rows, caption, "facts"))
    return f"<section><h2>The ladder: precisions tried, lowest first</h2>{''.join(shown)}</section>"


def _row(rung: Mapping[str, Any]) -> tuple[str, ...]:
    drift = rung["drift"]
    # Files of earlier versions were judged by this drift alone.
    verdict = pill(
        "accepted" if rung.get("passes", drift["within"]) else "rejected",
        rung.get("missed", ", ".join(drift["missed"])),
    )
    layers = ", ".join(safe(name) for name in rung["float_layers"])
    return (
        safe(rung["name"]), verdict, "taken" if rung["taken"] else "", number(drift["drift_mm"], 2), number(drift["drift_p95_mm"], 2),
        percent(drift["people_lost"]), percent(drift["people_invented"]), milliseconds(rung["latency_ms"]),
        f"× {number(rung['latency_ms'] / rung['float32_ms'], 2)}", layers,
    )  # fmt: skip
