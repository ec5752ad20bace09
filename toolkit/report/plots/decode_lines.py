"""Lines of the chart of decoding time by number of people: all of it, and without the fit to key points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .charts import Line


def decode_lines(rows: Sequence[Mapping[str, float]]) -> list[Line]:
    """Return the lines of the rows of `decode_cost`; results of before the fit was timed apart have one."""
    drawn = [Line([(row["people"], row["p50_us"]) for row in rows], "with the fit to key points", "plain")]
    if all("unfitted_p50_us" in row for row in rows):
        unfitted = [(row["people"], row["unfitted_p50_us"]) for row in rows]
        drawn.append(Line(unfitted, "without", "plain"))
    return drawn
