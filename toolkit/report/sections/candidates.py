"""Section of the report: the candidates of a precision search, and the reason each was taken or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...device.checked_files import read_checked
from ..file_kinds import CANDIDATES
from ..formatting import milliseconds, number, percent, safe
from ..tables import pill, table

_HEADINGS = (
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


def read_searches(paths: Iterable[str | Path]) -> list[Mapping[str, Any]]:
    """Read precision searches written by `posec export --precision auto`.

    Raises PosecError where a file is missing, newer, or of another form.
    """
    return [read_checked(Path(path), CANDIDATES) for path in paths]


def candidates_section(searches: Sequence[Mapping[str, Any]]) -> str:
    """Return the section as HTML; empty without searches."""
    if not searches:
        return ""
    tables = "".join(_search_table(search) for search in searches)
    return f"<section><h2>Precision search, lowest precision first</h2>{tables}</section>"


def _search_table(search: Mapping[str, Any]) -> str:
    taken = (
        f"taken: {search['taken']}"
        if search["taken"]
        else "no candidate is within the limits, so nothing was exported"
    )
    frames = search["judged_on"]
    caption = (
        f"{search['network']} for {search['target']}, drift on {frames['frames']} pictures of "
        f"{frames['source']}: {taken}. Latency on the machine that exported."
    )
    return table(_HEADINGS, [_row(candidate) for candidate in search["rungs"]], caption, kind="facts")


def _row(candidate: Mapping[str, Any]) -> tuple[str, ...]:
    drift = candidate["drift"]
    # Files of earlier versions state this drift alone.
    passes = candidate.get("passes", drift["within"])
    missed = candidate.get("missed", ", ".join(drift["missed"]))
    return (
        safe(candidate["name"]),
        pill("accepted" if passes else "rejected", missed),
        "taken" if candidate["taken"] else "",
        number(drift["drift_mm"], 2),
        number(drift["drift_p95_mm"], 2),
        percent(drift["people_lost"]),
        percent(drift["people_invented"]),
        milliseconds(candidate["latency_ms"]),
        f"× {number(candidate['latency_ms'] / candidate['float32_ms'], 2)}",
        ", ".join(safe(name) for name in candidate["float_layers"]),
    )
