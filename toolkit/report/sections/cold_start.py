"""Section of the report: cold start and memory."""

from __future__ import annotations

from collections.abc import Sequence

from ...device.result import Result
from ..formatting import milliseconds, number, safe
from ..tables import table

_HEADINGS = (
    "bundle",
    "numpy, cv2",
    "runtime",
    "load",
    "first picture",
    "start to people",
    "resident then",
    "peak later",
)
_CAPTION = (
    "Milliseconds in a fresh process: import of numpy and cv2, import of the runtime beyond them, loading "
    "the bundle with its engine, first picture, and all from the start of Python to the first people. "
    "Megabytes resident at that moment, and the peak of the process that was measured. Medians of up to "
    "three processes; files may be in the system's cache."
)
_TIMES = ("libraries_ms", "import_ms", "load_ms", "first_ms", "start_to_people_ms")


def cold_start_section(results: Sequence[Result]) -> str:
    """Return the section as HTML; empty where no result has a cold start."""
    rows = [row for row in map(_row, results) if row]
    if not rows:
        return ""
    body = table(_HEADINGS, rows, _CAPTION, kind="facts")
    return f"<section><h2>Cold start and memory</h2>{body}</section>"


def _row(result: Result) -> tuple[str, ...]:
    cold = (result.bench or {}).get("cold") or {}
    if "start_to_people_ms" not in cold:
        return ()
    memory = (result.bench or {}).get("memory") or {}
    sizes = (number(memory.get(name), 0, "MB") for name in ("resident_mb", "peak_mb"))
    return (safe(result.name), *(milliseconds(cold.get(name)) for name in _TIMES), *sizes)
