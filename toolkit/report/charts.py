"""Charts as inline SVG. Colours are classes of the page's style, so they follow light, dark and print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .formatting import milliseconds, safe

WIDTH = 560
LEFT, RIGHT, TOP, BOTTOM = 58, 18, 16, 46


@dataclass(frozen=True)
class Point:
    """One mark of a scatter plot; `kind` is the style class, `hollow` marks what was not accepted, `reach` ends its whisker."""

    x: float
    y: float
    label: str
    kind: str
    hollow: bool = False
    reach: float | None = None


@dataclass(frozen=True)
class Line:
    """One line of a line chart."""

    points: Sequence[tuple[float, float]]
    label: str
    kind: str


def svg(title: str, height: int, body: str, *, width: int = WIDTH) -> str:
    """Return an SVG element with `title` as its accessible label."""
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{safe(title)}">{body}</svg>'


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return round numbers that span low … high: steps of 1, 2 or 5 times a power of ten."""
    span = max(high - low, 1e-9)
    step = 10.0 ** math.floor(math.log10(span / most))
    step = next(step * factor for factor in (1, 2, 5, 10) if span / (step * factor) <= most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * index, 10) for index in range(first, last + 1)]


class _Axes:
    """A frame with round ticks; maps data to positions."""

    def __init__(
        self,
        xs: Sequence[float],
        ys: Sequence[float],
        labels: tuple[str, str],
        *,
        height: int,
        least_span: float = 0.0,
    ) -> None:
        """Start both axes at zero; with `least_span`, the y axis is centred on the values and spans at least that much."""
        self.x_ticks = ticks(0, max(xs) or 1)
        pad = max(0.15 * (max(ys) - min(ys)), (least_span - max(ys) + min(ys)) / 2)
        self.y_ticks = (
            ticks(max(0.0, min(ys) - pad), max(ys) + pad, 5) if least_span else ticks(0, max(ys) or 1, 5)
        )
        self.labels, self.height = labels, height

    def x(self, value: float) -> float:
        low, high = self.x_ticks[0], self.x_ticks[-1]
        return round(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return round(self.height - BOTTOM - (value - low) / (high - low) * (self.height - TOP - BOTTOM), 1)

    def draw(self) -> str:
        bottom = self.height - BOTTOM
        parts = [
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self.y(v)}" y2="{self.y(v)}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{self.y(v) + 4}" text-anchor="end">{v:g}</text>'
            for v in self.y_ticks
        ]
        parts += [
            f'<text class="tick" x="{self.x(v)}" y="{bottom + 18}" text-anchor="middle">{v:g}</text>'
            for v in self.x_ticks
        ]
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
        parts.append(
            f'<text class="name" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{self.height - 6}" text-anchor="middle">{safe(self.labels[0])}</text>'
        )
        middle = (TOP + bottom) / 2
        parts.append(
            f'<text class="name" transform="translate(14 {middle}) rotate(-90)" text-anchor="middle">{safe(self.labels[1])}</text>'
        )
        return "".join(parts)


def scatter(
    title: str,
    points: Sequence[Point],
    labels: tuple[str, str],
    *,
    least_span: float = 0.0,
    height: int = 360,
) -> str:
    """Return a scatter plot with a whisker to the right of each mark, and labels that do not overlap.

    The y axis starts at zero or spans at least `least_span`, so that small differences look small.
    """
    axes = _Axes(
        [max(point.x, point.reach or 0) for point in points],
        [point.y for point in points],
        labels,
        height=height,
        least_span=least_span,
    )
    parts = [axes.draw()]
    taken = [
        (axes.y(point.y) + 4, axes.x(point.x) - 9, axes.x(point.x) + 9) for point in points
    ]  # labels keep off the marks
    for point in sorted(points, key=lambda point: (point.y, point.x)):
        x, y = axes.x(point.x), axes.y(point.y)
        name = f"{point.label}: {milliseconds(point.x)} ms, {point.y:.1f}"
        whisker = (
            f'<line class="whisker {point.kind}" x1="{x}" x2="{axes.x(point.reach)}" y1="{y}" y2="{y}"/>'
            if point.reach
            else ""
        )
        parts.append(f"<g><title>{safe(name)}</title>{whisker}{_mark(x, y, point)}</g>")
        # A label goes above its mark, or below it, or yet higher: wherever no other one is.
        anchor, at = ("end", x + 8) if x > 0.6 * WIDTH else ("start", x - 8)
        width = 7.2 * len(point.label)
        left = at - width if anchor == "end" else at
        places = [y + shift for step in range(6) for shift in (-12 - 16 * step, 22 + 16 * step)]
        free = (
            p
            for p in places
            if TOP < p < height - BOTTOM
            and not any(abs(p - q) < 15 and left < b and a < left + width for q, a, b in taken)
        )
        place = next(free, y - 12)
        taken.append((place, left, left + width))
        parts.append(
            f'<text class="label" x="{at}" y="{round(place, 1)}" text-anchor="{anchor}">{safe(point.label)}</text>'
        )
    return svg(title, height, "".join(parts))


def _mark(x: float, y: float, point: Point) -> str:
    """Return a circle, square or diamond by precision, so that colour is not the only difference."""
    style = f'class="mark {point.kind}{" hollow" if point.hollow else ""}"'
    if point.kind == "int8":
        return f'<path {style} d="M{x} {y - 8}l8 8l-8 8l-8-8z"/>'
    if point.kind in ("float16", "bfloat16"):
        return f'<rect {style} x="{x - 6}" y="{y - 6}" width="12" height="12"/>'
    return f'<circle {style} cx="{x}" cy="{y}" r="7"/>'


def lines(title: str, drawn: Sequence[Line], labels: tuple[str, str], *, height: int = 300) -> str:
    """Return a line chart from zero, every line named at its end."""
    axes = _Axes(
        [x for line in drawn for x, _ in line.points],
        [y for line in drawn for _, y in line.points],
        labels,
        height=height,
    )
    parts = [axes.draw()]
    ends: list[float] = []
    for line in drawn:
        places = [(axes.x(x), axes.y(y)) for x, y in line.points]
        path = " ".join(f"{x},{y}" for x, y in places)
        dots = (
            "".join(f'<circle class="dot {line.kind}" cx="{x}" cy="{y}" r="3"/>' for x, y in places)
            if len(places) <= 12
            else ""
        )
        x, y = places[-1]
        while any(abs(y - other) < 15 for other in ends):
            y -= 15
        ends.append(y)
        parts.append(
            f'<polyline class="line {line.kind}" points="{path}"/>{dots}<text class="label" x="{x}" y="{round(y - 9, 1)}" text-anchor="end">{safe(line.label)}</text>'
        )
    return svg(title, height, "".join(parts))


def stage_bar(stages: Sequence[tuple[str, float]], longest: float) -> str:
    """Return one small stacked bar of (style class, ms), as wide as its share of the longest of its column."""
    width, x, parts = 150.0, 0.0, []
    for kind, value in stages:
        share = width * value / longest if longest else 0.0
        parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="0" width="{max(share, 0.5):.1f}" height="12"><title>{safe(kind)} {milliseconds(value)} ms</title></rect>'
        )
        x += share
    label = ", ".join(f"{kind} {milliseconds(value)} ms" for kind, value in stages)
    return f'<svg class="stages" viewBox="0 0 150 12" role="img" aria-label="{safe(label)}" preserveAspectRatio="none">{"".join(parts)}</svg>'


def bars(
    title: str, rows: Sequence[tuple[str, float, str]], kind: str, *, left: int = 96, full: int = WIDTH
) -> str:
    """Return horizontal bars of (name, value, text at its end), from zero, in a drawing `full` wide, `left` of it for names."""
    most, step = max((value for _, value, _ in rows), default=0.0) or 1.0, 30
    parts = []
    for index, (name, value, text) in enumerate(rows):
        y, width = index * step, max(0.0, value) / most * (full - left - 200)
        parts.append(
            f'<text class="label" x="{left - 10}" y="{y + 19}" text-anchor="end">{safe(name)}</text>'
            f'<rect class="bar {kind}" x="{left}" y="{y + 6}" width="{max(width, 1):.1f}" height="18" rx="2"/>'
            f'<text class="tick" x="{left + max(width, 1) + 8:.1f}" y="{y + 19}">{safe(text)}</text>'
        )
    return svg(title, step * len(rows) + 4, "".join(parts), width=full)


def strips(title: str, rows: Sequence[tuple[str, str, Sequence[float], Sequence[float]]]) -> str:
    """Return one strip per (name, style class, samples, percentiles): a tick for every sample, marks at the percentiles.

    The axis ends a tenth beyond the largest p99; samples beyond it are counted at its end.
    """
    end = ticks(0, 1.1 * max(percentiles[-1] for _, _, _, percentiles in rows))[-1]
    step, left = 54, 12
    scale = (WIDTH - left - 30) / end
    parts = []
    for index, (name, kind, samples, percentiles) in enumerate(rows):
        y = index * step + 22
        places = sorted({round(left + scale * value, 1) for value in samples if value <= end})
        beyond = sum(value > end for value in samples)
        path = "".join(f"M{x:g} {y}v14" for x in places)
        parts.append(
            f'<text class="label" x="{left}" y="{y - 6}">{safe(name)}</text><path class="samples {kind}" d="{path}"/>'
        )
        for value, word in zip(percentiles, ("p50", "p90", "p99"), strict=True):
            x = round(left + scale * min(value, end), 1)
            parts.append(
                f'<path class="percentile" d="M{x} {y - 3}v20"><title>{word} {milliseconds(value)} ms</title></path>'
            )
        if beyond:
            parts.append(
                f'<text class="tick" x="{WIDTH - 2}" y="{y + 11}" text-anchor="end">+{beyond}</text>'
            )
    bottom = len(rows) * step + 2
    parts += [
        f'<text class="tick" x="{left + scale * v:.1f}" y="{bottom + 14}" text-anchor="middle">{v:g}</text>'
        for v in ticks(0, end)
    ]
    parts.append(
        f'<line class="axis" x1="{left}" x2="{left + scale * end:.1f}" y1="{bottom}" y2="{bottom}"/>'
    )
    parts.append(
        f'<text class="name" x="{WIDTH / 2}" y="{bottom + 34}" text-anchor="middle">ms from picture to people, every frame; marks at p50, p90, p99</text>'
    )
    return svg(title, bottom + 42, "".join(parts))
