"""Instructions per inference in the report: counted under emulation, as `tests/arm64/instructions.py` writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..device.checked_files import Kind, read_checked
from ..device.schema import Fields, Items, Number, Text
from .formatting import number, safe
from .tables import table

FORMAT = 1
ENDING = ".instructions.json"
_WORDS = ("network", "precision", "board", "cpu", "library")
_COUNT = Fields(
    {**{name: Text(200) for name in _WORDS}, "instructions": Number(1, 1e15), "simd": Number(0, 1e15)}
)
KIND = Kind(
    "count of instructions",
    FORMAT,
    1 << 20,
    "tests/arm64/instructions.py",
    Fields({"counts": Items(_COUNT, most=1000)}),
)


def read_instructions(paths: Iterable[str | Path]) -> list[Mapping[str, Any]]:
    """Return the counts in files; each has network, precision, board, cpu, library, instructions and simd.

    Raises PosecError where a file is missing, newer, or of another form.
    """
    return [count for path in paths for count in read_checked(Path(path), KIND)["counts"]]


def instructions_section(counts: Sequence[Mapping[str, Any]]) -> str:
    """Return the section as HTML; empty where nothing was counted."""
    if not counts:
        return ""
    floats = {_case(count): count["instructions"] for count in counts if count["precision"] == "float32"}
    headings = (
        "network",
        "board",
        "library",
        "precision",
        "millions of<br>instructions",
        "of these SIMD",
        "over<br>float32",
    )
    rows = [
        (
            safe(count["network"]),
            f"{safe(count['board'])}<small>{safe(count['cpu'])}</small>",
            safe(count["library"]),
            safe(count["precision"]),
            number(count["instructions"] / 1e6, 1),
            number(count["simd"] / 1e6, 1),
            f"× {number(count['instructions'] / floats[_case(count)], 2)}" if _case(count) in floats else "",
        )
        for count in counts
    ]
    caption = (
        "One inference of the engine, one thread, on an emulated CPU. Counts and not times: the emulator models neither caches nor "
        "memory nor instructions per cycle. The same file gives the same count."
    )
    return f"<section><h2>Instructions per inference, counted</h2>{table(headings, rows, caption, kind='facts')}</section>"


def _case(count: Mapping[str, Any]) -> tuple[str, ...]:
    return str(count["network"]), str(count["board"]), str(count["library"])
