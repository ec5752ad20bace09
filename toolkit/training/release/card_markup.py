"""Markdown tables of the model card, between marks of a page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import PosecError


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Return rows as a Markdown table.

    Args:
        rows: values by column; absent ones and None are dashes.
        columns: titles by column.
    """
    lines = [list(columns.values()), ["---"] * len(columns)]
    lines += [[_cell(row.get(name)) for name in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return str(value)


def put_table(text: str, name: str, content: str) -> str:
    """Return a page with the text between `<!-- figures: name -->` and `<!-- end -->` replaced.

    Raises PosecError without them.
    """
    pattern = rf"(<!-- figures: {name} -->\n).*?(\n?<!-- end -->)"
    replaced, count = re.subn(
        pattern, lambda match: match[1] + content + "\n<!-- end -->", text, flags=re.DOTALL
    )
    if count != 1:
        raise PosecError(
            f"the page needs the marks '<!-- figures: {name} -->' and '<!-- end -->' exactly once, "
            f"got {count}"
        )
    return replaced
