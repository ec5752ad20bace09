"""Instructions per inference in the report: counted under emulation, as `tests/arm64/instructions.py` writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import PosecError
from .tables import table
from .wording import number, safe

FORMAT = 1
ENDING = ".instructions.json"
LARGEST_FILE = 1 << 20


def read_instructions(paths: Iterable[str | Path]) -> list[Mapping[str, Any]]:
    """Return the counts in files; each has network, precision, board, cpu, library, instructions and simd.

    Raises PosecError where a file is missing, newer, or of another form.
    """
    return [count for path in paths for count in _read(Path(path))]


def instructions_section(counts: Sequence[Mapping[str, Any]]) -> str:
    """Return the section as HTML; empty where nothing was counted."""
    if not counts:
        return ""
    floats = {_case(count): count["instructions"] for count in counts if count["precision"] == "float32"}
    headings = ("network", "board", "library", "precision", "millions of<br>instructions", "of these SIMD", "over<br>float32")
    rows = [
        (safe(count["network"]), f"{safe(count['board'])}<small>{safe(count['cpu'])}</small>", safe(count["library"]), safe(count["precision"]),
         number(count["instructions"] / 1e6, 1), number(count["simd"] / 1e6, 1),
         f"× {number(count['instructions'] / floats[_case(count)], 2)}" if _case(count) in floats else "")
        for count in counts
    ]  # fmt: skip
    caption = ("One inference of the engine, one thread, on an emulated CPU. Counts and not times: nothing is known of caches, memory, or "
               "how many instructions a cycle takes. The same file gives the same count.")  # fmt: skip
    return f"<section><h2>Instructions per inference, counted</h2>{table(headings, rows, caption, 'facts')}</section>"


def _case(count: Mapping[str, Any]) -> tuple[str, ...]:
    return str(count["network"]), str(count["board"]), str(count["library"])


def _read(path: Path) -> list[Mapping[str, Any]]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise PosecError(f"'{path}' has more than {LARGEST_FILE >> 20} MiB; count the instructions again")
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["format"] != FORMAT:
            raise PosecError(f"'{path}' has instructions format {plain['format']}, this posec reads {FORMAT}; count again with it")
        instructions_section(plain["counts"])  # so that a file that lacks what the report shows is refused here
    except OSError as error:
        raise PosecError(f"no counts '{path}': {error.strerror}; name a file that tests/arm64/instructions.py wrote") from error
    except (KeyError, TypeError, AttributeError, ValueError, ZeroDivisionError, RecursionError) as error:
        if isinstance(error, PosecError):
            raise
        raise PosecError(f"'{path}' holds no counts of instructions: {type(error).__name__} {error}") from error
    return list(plain["counts"])
