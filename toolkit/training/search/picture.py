"""The log of a search as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from ...report.plots.charts import AxisLabels, Line, lines
from .evolve import Judged

_STYLE = (
    "text{font:13px sans-serif}.line{fill:none;stroke-width:2}.int8{stroke:#06c}.float32{stroke:#bbb}"
    ".dot{stroke:none}.grid,.axis{stroke:#ddd}"
)


def log_picture(judged: Sequence[Judged]) -> str:
    """Return an SVG file: the score of every candidate, and the best so far."""
    scores = [each.score for each in judged]
    drawn = [
        Line(list(enumerate(scores, 1)), "candidates", "float32"),
        Line(list(enumerate(accumulate(scores, max), 1)), "best so far", "int8"),
    ]
    plot = lines("log of the search", drawn, AxisLabels("candidates", "PCK_rel@150, %"))
    return plot.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace(
        ">", f"><style>{_STYLE}</style>", 1
    )
