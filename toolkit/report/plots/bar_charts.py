"""Bar charts of the report as inline SVG: stages of a frame, bars by name, every sample on a strip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..formatting import milliseconds, safe
from .charts import WIDTH, svg, ticks


class Bar(NamedTuple):
    """One horizontal bar; `text` stands at its end."""

    name: str
    value: float
    text: str


class Strip(NamedTuple):
    """The samples of one bundle in ms, and their p50, p90 and p99; `kind` is the style class."""

    name: str
    kind: str
    samples: Sequence[float]
    percentiles: Sequence[float]


class _Scale(NamedTuple):
    """Maps ms to positions of a strip; samples beyond `end` are not drawn."""

    left: float
    per_ms: float
    end: float

    def x(self, ms: float) -> float:
        return self.left + self.per_ms * ms


_BAR_STEP, _STRIP_STEP = 30, 54
_VALUE_WIDTH = 200  # for the text at the end of a bar
_STAGES_WIDTH = 150.0


def stage_bar(stages: Sequence[tuple[str, float]], longest: float) -> str:
    """Return a small stacked bar of (style class, ms); a bar of `longest` ms has the full width."""
    x, parts = 0.0, []
    for kind, value in stages:
        share = _STAGES_WIDTH * value / longest if longest else 0.0
        title = f"<title>{safe(kind)} {milliseconds(value)} ms</title>"
        width = f'width="{max(share, 0.5):.1f}" height="12"'
        parts.append(f'<rect class="{kind}" x="{x:.1f}" y="0" {width}>{title}</rect>')
        x += share
    label = safe(", ".join(f"{kind} {milliseconds(value)} ms" for kind, value in stages))
    frame = f'viewBox="0 0 150 12" role="img" aria-label="{label}" preserveAspectRatio="none"'
    return f'<svg class="stages" {frame}>{"".join(parts)}</svg>'


def bars(title: str, rows: Sequence[Bar], kind: str, *, left: int = 96, width: int = WIDTH) -> str:
    """Return horizontal bars from zero.

    Args:
        title: the accessible label.
        rows: from top to bottom; a negative value has the shortest bar.
        kind: the style class of the bars.
        left: width for the names.
        width: width of the drawing.
    """
    largest = max((row.value for row in rows), default=0.0) or 1.0
    parts = []
    for index, row in enumerate(rows):
        y = index * _BAR_STEP
        length = max(max(0.0, row.value) / largest * (width - left - _VALUE_WIDTH), 1)
        parts.append(
            f'<text class="label" x="{left - 10}" y="{y + 19}" text-anchor="end">{safe(row.name)}</text>'
            f'<rect class="bar {kind}" x="{left}" y="{y + 6}" width="{length:.1f}" height="18" rx="2"/>'
            f'<text class="tick" x="{left + length + 8:.1f}" y="{y + 19}">{safe(row.text)}</text>'
        )
    return svg(title, _BAR_STEP * len(rows) + 4, "".join(parts), width=width)


def strips(title: str, rows: Sequence[Strip]) -> str:
    """Return one strip per row: a tick for every sample, marks at the percentiles.

    The axis ends a tenth beyond the largest p99; samples beyond it are counted at its end.
    """
    end = ticks(0, 1.1 * max(row.percentiles[-1] for row in rows))[-1]
    left = 12
    scale = _Scale(left, (WIDTH - left - 30) / end, end)
    parts = [_strip(row, scale, index * _STRIP_STEP + 22) for index, row in enumerate(rows)]
    bottom = len(rows) * _STRIP_STEP + 2
    parts += [
        f'<text class="tick" x="{scale.x(v):.1f}" y="{bottom + 14}" text-anchor="middle">{v:g}</text>'
        for v in ticks(0, end)
    ]
    parts.append(f'<line class="axis" x1="{left}" x2="{scale.x(end):.1f}" y1="{bottom}" y2="{bottom}"/>')
    name = "ms from picture to people, every frame; marks at p50, p90, p99"
    parts.append(f'<text class="name" x="{WIDTH / 2}" y="{bottom + 34}" text-anchor="middle">{name}</text>')
    return svg(title, bottom + 42, "".join(parts))


def _strip(row: Strip, scale: _Scale, y: int) -> str:
    """Return the ticks and marks of one row; `y` is their upper end."""
    places = sorted({round(scale.x(value), 1) for value in row.samples if value <= scale.end})
    path = "".join(f"M{x:g} {y}v14" for x in places)
    parts = [
        f'<text class="label" x="{scale.left}" y="{y - 6}">{safe(row.name)}</text>',
        f'<path class="samples {row.kind}" d="{path}"/>',
    ]
    for index, name in enumerate(("p50", "p90", "p99")):
        value = row.percentiles[index]
        x = round(scale.x(min(value, scale.end)), 1)
        mark = f"<title>{name} {milliseconds(value)} ms</title>"
        parts.append(f'<path class="percentile" d="M{x} {y - 3}v20">{mark}</path>')
    beyond = sum(value > scale.end for value in row.samples)
    if beyond:
        parts.append(f'<text class="tick" x="{WIDTH - 2}" y="{y + 11}" text-anchor="end">+{beyond}</text>')
    return "".join(parts)
