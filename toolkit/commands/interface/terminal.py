"""Output of commands: progress and notes on standard error, the result on standard output as text or JSON."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...runtime.console import put, say, show_progress
from ...runtime.files.plain_files import write_plain

__all__ = ["answer", "progress", "put", "say", "step", "table", "write_text"]


def step(line: str) -> None:
    """Print a step of a longer task."""
    say(f"  {line}")


def progress(label: str) -> Callable[[int, int], None]:
    """Return a callback (done, count): it updates one line on a terminal, or adds a few lines to a log."""
    shown = [-1]

    def show(done: int, count: int) -> None:
        part = 2 * done // count if count else done // 100
        line = f"{label} {done}{f'/{count}' if count else ''}"
        if sys.stderr is not None and sys.stderr.isatty():
            show_progress(f"{line} ", end="\n" if done == count else "")
        elif part != shown[0]:
            say(line)
        shown[0] = part

    return show


def answer(args: argparse.Namespace, plain: Any, text: str) -> None:
    """Print the result: `plain` as JSON with --json, else `text`."""
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
    padded = [[cell.ljust(widths[column]) for column, cell in enumerate(row)] for row in cells]
    return "\n".join("  ".join(row).rstrip() for row in padded)


def write_text(path: str | Path, text: str) -> None:
    """Write a file whole or not at all, and make its folder."""
    write_plain(path, text)
