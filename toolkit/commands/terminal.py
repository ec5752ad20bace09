"""Output of commands: progress and notes on standard error, the result on standard output, as text or as JSON."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..runtime.console import put, say, show_progress
from ..runtime.files.plain_files import write_plain

__all__ = ["answer", "progress", "put", "say", "step", "table", "write_text"]


def step(line: str) -> None:
    """Print a step of something longer."""
    say(f"  {line}")


def progress(what: str) -> Callable[[int, int], None]:
    """Return a callback (done, count) that keeps one line on a terminal and prints a few lines to a log."""
    shown = [-1]

    def show(done: int, count: int) -> None:
        part = 2 * done // count if count else done // 100
        if sys.stderr is not None and sys.stderr.isatty():
            show_progress(f"{what} {done}{f'/{count}' if count else ''} ", end="\n" if done == count else "")
        elif part != shown[0]:
            say(f"{what} {done}{f'/{count}' if count else ''}")
        shown[0] = part

    return show


def answer(args: argparse.Namespace, plain: Any, text: str) -> None:
    """Print the result: JSON with --json, else text for a person."""
    put(json.dumps(_finite(plain), indent=1, allow_nan=False) if args.json else text)


def _finite(plain: Any) -> Any:
    """Return the same with null in place of NaN and infinity, which JSON does not have."""
    if isinstance(plain, Mapping):
        return {name: _finite(inner) for name, inner in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [_finite(inner) for inner in plain]
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain


def table(rows: Sequence[Sequence[object]]) -> str:
    """Return rows as aligned columns."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def write_text(path: str | Path, text: str) -> None:
    """Write a file whole or not at all; its folder is made where it is missing."""
    write_plain(path, text)
