"""Section of the report: instructions per inference, counted under emulation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...device.checked_files import read_checked
from ..file_kinds import INSTRUCTIONS
from ..formatting import number, safe
from ..tables import table

_HEADINGS = (
    "network",
    "board",
    "library",
    "precision",
    "millions of<br>instructions",
    "of these SIMD",
    "over<br>float32",
)
_CAPTION = (
    "One inference of the engine on one thread of an emulated CPU. Counts and not times: the emulator models "
    "no caches, no memory latency and no instructions per cycle. The same file gives the same count."
)


class _Case(NamedTuple):
    """What counts must share to be compared."""

    network: str
    board: str
    library: str


def read_instructions(paths: Iterable[str | Path]) -> list[Mapping[str, Any]]:
    """Return the counts in files; each has network, precision, board, cpu, library, instructions and simd.

    Raises PosecError where a file is missing, newer, or of another form.
    """
    return [count for path in paths for count in read_checked(Path(path), INSTRUCTIONS)["counts"]]


def instructions_section(counts: Sequence[Mapping[str, Any]]) -> str:
    """Return the section as HTML; empty without counts."""
    if not counts:
        return ""
    float32 = {_case(count): count["instructions"] for count in counts if count["precision"] == "float32"}
    rows = [_row(count, float32.get(_case(count))) for count in counts]
    body = table(_HEADINGS, rows, _CAPTION, kind="facts")
    return f"<section><h2>Instructions per inference, counted</h2>{body}</section>"


def _row(count: Mapping[str, Any], float32: float | None) -> tuple[str, ...]:
    return (
        safe(count["network"]),
        f"{safe(count['board'])}<small>{safe(count['cpu'])}</small>",
        safe(count["library"]),
        safe(count["precision"]),
        number(count["instructions"] / 1e6, 1),
        number(count["simd"] / 1e6, 1),
        f"× {number(count['instructions'] / float32, 2)}" if float32 else "",
    )


def _case(count: Mapping[str, Any]) -> _Case:
    return _Case(str(count["network"]), str(count["board"]), str(count["library"]))
