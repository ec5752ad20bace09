"""The report as Markdown and CSV: the recommendation, and a row per result with every measure."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ..errors import PosecError
from ..runtime.files.plain_files import write_plain
from .choosing.comparison import Comparison
from .choosing.options import Option
from .formatting import plain_text

MARKDOWN_ENDING, CSV_ENDING = ".md", ".csv"
_FIRST_COLUMNS = (
    "name",
    "machine",
    "network",
    "target",
    "precision",
    "input size",
    "status",
    "verdict",
    "choice",
)
_LAST_COLUMNS = (
    "lost to float32, points",
    "lost, low",
    "lost, high",
    "lost, figure",
    "outside the limits",
)
_TITLE = "# posec report"


def write_beside(comparison: Comparison, page: Path) -> list[Path]:
    """Write Markdown and CSV beside the page and return their paths. Raises PosecError as `check_beside`."""
    check_beside(page)
    texts = {MARKDOWN_ENDING: markdown(comparison), CSV_ENDING: comma_separated(comparison)}
    paths = []
    for ending, text in texts.items():
        path = page.with_suffix(ending)
        try:
            write_plain(path, text)
        except OSError as error:
            raise PosecError(f"cannot write '{path}': {error.strerror}; name another page") from error
        paths.append(path)
    return paths


def check_beside(page: Path) -> None:
    """Raise PosecError if a file that no report wrote has the name of the Markdown or the CSV file."""
    for ending, start in ((MARKDOWN_ENDING, _TITLE), (CSV_ENDING, ",".join(_FIRST_COLUMNS))):
        path = page.with_suffix(ending)
        if not path.exists():
            continue
        try:
            with path.open("rb") as file:
                is_ours = file.read(len(start)) == start.encode()
        except OSError:
            is_ours = False
        if not is_ours:
            raise PosecError(f"'{path}' is not of a report, and would be replaced; name another page")


def markdown(comparison: Comparison) -> str:
    """Return the recommendation and the table of results as Markdown."""
    lines = [_TITLE, ""]
    for choice in comparison.choices:
        sentences = (choice.recommendation, choice.runner_up, choice.int8)
        lines += [line for sentence in sentences if sentence for line in (_cell(sentence), "")]
    rows = _rows(comparison)
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows[:1]]
    lines.append("|" + " --- |" * len(rows[0]))
    lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows[1:]]
    return "\n".join(lines) + "\n"


def comma_separated(comparison: Comparison) -> str:
    """Return a row per result as CSV; text that a spreadsheet would compute has an apostrophe before it."""
    text = io.StringIO()
    rows = _rows(comparison)
    csv.writer(text, lineterminator="\n").writerows([_inert(cell) for cell in row] for row in rows)
    return text.getvalue()


def _rows(comparison: Comparison) -> list[list[str]]:
    """Return the table, its header first."""
    labels = (measure.label for measure in comparison.measures)
    header = [*_FIRST_COLUMNS, *labels, *_LAST_COLUMNS]
    return [header, *(_row(comparison, option) for option in comparison.options)]


def _row(comparison: Comparison, option: Option) -> list[str]:
    result = option.result
    first = (
        option.name,
        option.machine,
        result.bundle["name"],
        result.bundle["target"],
        option.precision,
        option.size,
        result.status,
        result.verdict,
        comparison.role(option),
    )
    values = [
        f"{option.values[measure.key]:.{measure.digits}f}" if measure.key in option.values else ""
        for measure in comparison.measures
    ]
    loss = option.loss or ("", None, None, "")
    figures = ["" if part is None else f"{part:.2f}" if isinstance(part, float) else part for part in loss]
    return [plain_text(cell) for cell in (*first, *values, *figures, "; ".join(comparison.reasons(option)))]


def _cell(text: str) -> str:
    """Return text that stays in its cell and is no markup."""
    for letter in "\\`*_|<>[]":
        text = text.replace(letter, "\\" + letter)
    return " ".join(text.split())


def _inert(cell: str) -> str:
    is_number = cell.replace(".", "", 1).lstrip("-").isdigit()
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not is_number else cell
