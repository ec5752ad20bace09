"""Tables of the report: HTML from headings and cells, and the style of a verdict."""

from __future__ import annotations

from collections.abc import Sequence

from .formatting import DASH, safe

_PILLS = {
    "ran": "good",
    "noisy": "unknown",
    "failed": "bad",
    "not measured": "unknown",
    "accepted": "good",
    "rejected": "bad",
    "not judged": "unknown",
}


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    caption: str,
    *,
    kind: str = "",
    numbered: bool = False,
) -> str:
    """Return a table. Headings and cells are HTML; `kind` is its style class.

    Each cell also carries its heading, so that a narrow screen can show a row as a card. Rows that are
    `numbered` carry the index of their option for the page's script.
    """
    head = "".join(f'<th scope="col">{heading}</th>' for heading in headings)
    labels = [heading.replace("<br>", " ") for heading in headings]
    body = ""
    for index, row in enumerate(rows):
        starts_group = kind == "accuracy" and index > 0 and row[0] != rows[index - 1][0]
        cells = "".join(_cell(labels[column], cell) for column, cell in enumerate(row))
        option = f' data-option="{index}"' if numbered else ""
        body += f"<tr{' class=group' if starts_group else ''}{option}>{cells}</tr>"
    inner = f"<caption>{safe(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="scroll"><table class="{kind}">{inner}</table></div>'


def _cell(label: str, content: str) -> str:
    kind = ' class="none"' if content == DASH else ""
    return f'<td data-label="{safe(label)}"{kind}>{content}</td>'


def pill(word: str, reason: str = "") -> str:
    """Return a status or verdict in its colour, with the reason as its tooltip."""
    return f'<span class="pill {_PILLS[word]}" title="{safe(reason)}">{safe(word)}</span>'
