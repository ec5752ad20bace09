"""Section of the report: retrieval of equal poses across cameras, by the embeddings of each network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...device.checked_files import read_checked
from ...evaluation.retrieval.measure import RANKS
from ..file_kinds import RETRIEVAL
from ..formatting import number, percent, safe
from ..tables import table

_HEADINGS = ("gallery", "network", "ranked by", "queries", "found", *(f"@{rank}<br>mm" for rank in RANKS))
_CAPTION = (
    "Mean-PA-MPJPE@K: error of the K nearest people in other cameras to the pose of a query, with scale in "
    "Procrustes. The oracle ranks by this error; random is a random choice."
)


def read_retrieval(paths: Iterable[str | Path]) -> list[Mapping[str, Any]]:
    """Return the content of files of `posec evaluate --views --out`.

    Raises PosecError where a file is missing, newer, or of another form.
    """
    return [read_checked(Path(path), RETRIEVAL) for path in paths]


def retrieval_section(measured: Sequence[Mapping[str, Any]]) -> str:
    """Return the section as HTML; empty without files."""
    if not measured:
        return ""
    rows = [(plain["network"], row) for plain in measured for row in plain["rows"]]
    galleries = list(dict.fromkeys(row["gallery"] for _, row in rows))
    rows.sort(key=lambda pair: galleries.index(pair[1]["gallery"]))
    shown = table(_HEADINGS, [_row(network, row) for network, row in rows], _CAPTION, kind="accuracy")
    return f"<section><h2>Equal poses across cameras</h2>{shown}</section>"


def _row(network: str, row: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        safe(row["gallery"]),
        safe(network),
        safe(row["method"]),
        number(row["queries"], 0),
        percent(row["found_share"]),
        *(number(row[f"mean_pa_mpjpe_{rank}_mm"], 1) for rank in RANKS),
    )
