"""The precision searches of `posec export --precision auto` in the report: every candidate, and why it was taken or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..device.checked_files import Kind, read_checked
from ..device.schema import Fields, Flag, Items, Maybe, Number, Text
from .formatting import milliseconds, number, percent, safe
from .tables import pill, table

FORMAT = 1
ENDING = ".ladder.json"
_WORD, _COUNT, _MS = Text(200), Number(0, 1e12), Number(1e-5, 1e8)
_DRIFT = Fields(
    {
        "within": Flag(),
        "missed": Items(_WORD, most=10),
        "drift_mm": Maybe(_COUNT),
        "drift_p95_mm": Maybe(_COUNT),
        "people_lost": _COUNT,
        "people_invented": _COUNT,
    }
)
_RUNG = Fields(
    {
        "name": _WORD,
        "drift": _DRIFT,
        "float_layers": Items(Text(), most=10_000),
        "taken": Flag(),
        "latency_ms": _MS,
        "float32_ms": _MS,
    },
    {"passes": Flag(), "missed": Text()},
)
_LADDER = Fields(
    {
        "network": _WORD,
        "target": _WORD,
        "taken": Maybe(_WORD),
        "rungs": Items(_RUNG, most=1000),
        "judged_on": Fields({"frames": _COUNT, "source": Text(5000)}),
    }
)
KIND = Kind("ladder", FORMAT, 16 << 20, "`posec export --precision auto`", _LADDER)


def read_ladders(paths: Iterable[str | Path]) -> list[Mapping[str, Any]]:
    """Read files that `posec export --precision auto` wrote. Raises PosecError where one is missing, newer, or of another form."""
    return [read_checked(Path(path), KIND) for path in paths]


def ladder_section(ladders: Sequence[Mapping[str, Any]]) -> str:
    """Return the section as HTML; empty where there are no ladders."""
    if not ladders:
        return ""
    headings = (
        "candidate",
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
    tables = []
    for ladder in ladders:
        rows = [_row(rung) for rung in ladder["rungs"]]
        taken = (
            f"taken: {ladder['taken']}"
            if ladder["taken"]
            else "no candidate keeps the limits, nothing was exported"
        )
        caption = (
            f"{ladder['network']} for {ladder['target']}, judged on {ladder['judged_on']['frames']} pictures of "
            f"{ladder['judged_on']['source']}: {taken}. Latency on the machine that exported."
        )
        tables.append(table(headings, rows, caption, kind="facts"))
    return f"<section><h2>Precision search, lowest precision first</h2>{''.join(tables)}</section>"


def _row(rung: Mapping[str, Any]) -> tuple[str, ...]:
    drift = rung["drift"]
    # Files of earlier versions were judged by this drift alone.
    verdict = pill(
        "accepted" if rung.get("passes", drift["within"]) else "rejected",
        rung.get("missed", ", ".join(drift["missed"])),
    )
    layers = ", ".join(safe(name) for name in rung["float_layers"])
    return (
        safe(rung["name"]),
        verdict,
        "taken" if rung["taken"] else "",
        number(drift["drift_mm"], 2),
        number(drift["drift_p95_mm"], 2),
        percent(drift["people_lost"]),
        percent(drift["people_invented"]),
        milliseconds(rung["latency_ms"]),
        f"× {number(rung['latency_ms'] / rung['float32_ms'], 2)}",
        layers,
    )
