"""Section of the report: drift beside the network's own unsteadiness, its distribution, and who moved far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...device.result import Result
from ...evaluation.intervals import NO_DIFFERENCE
from ...evaluation.paired import Difference
from ..formatting import DASH, number, percent, safe
from ..plots.charts import AxisLabels, Line, lines
from ..plots.styles import precision_style
from ..tables import table

_HEADINGS = (
    "bundle",
    "pictures",
    "drift<br>mm",
    "the network's<br>own, mm",
    "ratio",
    "p50<br>mm",
    "p95<br>mm",
    "people<br>lost",
    "lost by the<br>network itself",
    "lost to float32<br>points",
    "who moved far",
)
_CAPTION = (
    "Drift is the distance from the float network; the network's own is float32 against float32 on the same "
    "pictures, shifted by one pixel and re-encoded as JPEG. A ratio of 1 is no more than that causes. "
    "Lost: points of PCK_rel@150, or of OKS.5 on photographs, on labelled pictures, against the truth; "
    "small print: 95 % interval of the paired difference, both networks on the same draws of pictures."
)
_MOST_LINES = 6
_LEAST_MM = 1.0  # of a move that is worth a cause
_SHARES = (0, 5, *range(10, 91, 5), 95, 97, 99)


def drift_section(results: Sequence[Result], losses: Sequence[Difference | None]) -> str:
    """Return the section as HTML; empty where no drift was measured.

    `losses` are the points of PCK_rel@150 that each result loses against the float network, or None.
    """
    judged = [(result, losses[index]) for index, result in enumerate(results) if result.drift]
    if not judged:
        return ""
    body = table(_HEADINGS, [_row(result, loss) for result, loss in judged], _CAPTION, kind="facts")
    return f"<section><h2>Drift</h2>{body}{_distribution([result for result, _ in judged])}</section>"


def _row(result: Result, loss: Difference | None) -> tuple[str, ...]:
    drift: Mapping[str, Any] = result.drift or {}
    own = drift.get("unsteadiness") or {}
    return (
        safe(result.name),
        _pictures(drift),
        number(drift.get("drift_mm"), 1),
        number(own.get("drift_mm"), 1),
        number(drift.get("drift_ratio"), 2),
        number(drift.get("drift_p50_mm"), 1),
        number(drift.get("drift_p95_mm"), 1),
        percent(drift.get("people_lost")),
        percent(own.get("people_lost")),
        _loss(loss),
        _farthest(drift.get("moved") or ()),
    )


def _loss(loss: Difference | None) -> str:
    """Return the loss with its paired interval."""
    if loss is None:
        return DASH
    if loss.low is None or loss.high is None or loss.low == loss.high:
        return number(loss.value, 1)
    finding = f", {NO_DIFFERENCE}" if loss.is_open else ""
    interval = f"{number(loss.low, 1)} to {number(loss.high, 1)}"
    return f"{number(loss.value, 1)}<small>{safe(loss.figure)}, {interval}{finding}</small>"


def _pictures(drift: Mapping[str, Any]) -> str:
    source = (drift.get("data") or {}).get("source")
    counts = f"{drift.get('people', '?')} people, {drift.get('frames', '?')} pictures"
    return f"{safe(source)}<small>{safe(counts)}</small>" if source else safe(counts)


def _farthest(moved: Sequence[Mapping[str, Any]]) -> str:
    """Return the farthest person, and how often each cause occurs among the farthest."""
    if not moved or moved[0]["drift_mm"] < _LEAST_MM:
        return DASH
    first = moved[0]
    causes = Counter(str(person["cause"]) for person in moved).most_common()
    counted = ", ".join(f"{count} × {cause}" for cause, count in causes)
    worst = (
        f"{first['drift_mm']:.0f} mm, {first['joint']} {first['joint_mm']:.0f} mm, "
        f"{first['height_px']:.0f} px tall"
    )
    return f"{safe(worst)}<small>of the farthest {len(moved)}: {safe(counted)}</small>"


def _distribution(results: Sequence[Result]) -> str:
    """Return a chart of the drift by share of people; empty where it was not stored."""
    drawn = []
    for result in results[:_MOST_LINES]:
        people_mm = (result.drift or {}).get("people_mm") or ()
        if len(people_mm) > 1 and max(people_mm) > 0.05:
            values = np.percentile(people_mm, _SHARES)
            points = [(float(share), float(mm)) for share, mm in zip(_SHARES, values, strict=True)]
            drawn.append(Line(points, result.name, precision_style(result)))
    if not drawn:
        return ""
    heading, labels = "Drift by share of people", AxisLabels("% of people move by less", "mm")
    caption = "Few people who move far make a mean that hardly anyone has."
    return (
        f"<figure class='chart' style='margin-top:18px;max-width:760px'><figcaption><h3>{heading}</h3>"
        f"<p>{caption}</p></figcaption>{lines(heading, drawn, labels)}</figure>"
    )
