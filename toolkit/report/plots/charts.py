"""Scatter plots and line charts as inline SVG. Colours are style classes, for light, dark and print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..formatting import milliseconds, safe

WIDTH = 560
LEFT, RIGHT, TOP, BOTTOM = 58, 18, 16, 46
_LABEL_HEIGHT = 15
_CHARACTER_WIDTH = 7.2


@dataclass(frozen=True)
class Point:
    """One mark of a scatter plot.

    Attributes:
        x, y: its place; x is in ms.
        label: its name.
        kind: its style class.
        hollow: draw an outline, for results that are not accepted.
        reach: x of the end of its whisker; None draws no whisker.
        gray: draw it without colour, for results outside the limits.
    """

    x: float
    y: float
    label: str
    kind: str
    hollow: bool = False
    reach: float | None = None
    gray: bool = False


class Limits(NamedTuple):
    """Lines across a scatter plot at the largest x and at a limit of y; None draws none."""

    x: float | None = None
    y: float | None = None


NO_LIMITS = Limits()


@dataclass(frozen=True)
class Line:
    """One line of a line chart."""

    points: Sequence[tuple[float, float]]
    label: str
    kind: str


class AxisLabels(NamedTuple):
    """The names of both axes."""

    x: str
    y: str


class _Taken(NamedTuple):
    """Space that a mark or a label takes: its base line, and its left and right end."""

    y: float
    left: float
    right: float


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
    """Axes with round ticks; maps data to positions."""

    def __init__(
        self,
        xs: Sequence[float],
        ys: Sequence[float],
        labels: AxisLabels,
        *,
        height: int,
        least_span: float = 0.0,
    ) -> None:
        """Start both axes at zero; with `least_span`, the y axis has at least that span around the values."""
        low, high = min(ys), max(ys)
        pad = max(0.15 * (high - low), (least_span - high + low) / 2)
        self.x_ticks = ticks(0, max(xs) or 1)
        self.y_ticks = ticks(max(0.0, low - pad), high + pad, 5) if least_span else ticks(0, high or 1, 5)
        self.labels, self.height = labels, height

    def x(self, value: float) -> float:
        low, high = self.x_ticks[0], self.x_ticks[-1]
        return round(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return round(self.height - BOTTOM - (value - low) / (high - low) * (self.height - TOP - BOTTOM), 1)

    def draw(self) -> str:
        bottom, right = self.height - BOTTOM, WIDTH - RIGHT
        parts = [
            f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{self.y(v)}" y2="{self.y(v)}"/>'
            f'<text class="tick" x="{LEFT - 8}" y="{self.y(v) + 4}" text-anchor="end">{v:g}</text>'
            for v in self.y_ticks
        ]
        parts += [
            f'<text class="tick" x="{self.x(v)}" y="{bottom + 18}" text-anchor="middle">{v:g}</text>'
            for v in self.x_ticks
        ]
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
        x_place = f'x="{(LEFT + right) / 2}" y="{self.height - 6}"'
        y_place = f'transform="translate(14 {(TOP + bottom) / 2}) rotate(-90)"'
        for place, label in ((x_place, self.labels.x), (y_place, self.labels.y)):
            parts.append(f'<text class="name" {place} text-anchor="middle">{safe(label)}</text>')
        return "".join(parts)


def scatter(
    title: str,
    points: Sequence[Point],
    labels: AxisLabels,
    *,
    least_span: float = 0.0,
    height: int = 360,
    limits: Limits = NO_LIMITS,
    front: Sequence[tuple[float, float]] = (),
) -> str:
    """Return a scatter plot with a whisker to the right of each mark, and labels that do not overlap.

    The y axis starts at zero or spans at least `least_span`, so that small differences look small.
    `front` are the points of the Pareto front by x, drawn as steps.
    """
    xs = [*(max(point.x, point.reach or 0) for point in points), limits.x or 0]
    ys = [*(point.y for point in points), *(() if limits.y is None else (limits.y,))]
    axes = _Axes(xs, ys, labels, height=height, least_span=least_span)
    parts = [axes.draw(), _limit_lines(axes, limits), _steps(axes, front)]
    # Labels keep off the marks.
    taken = [_Taken(axes.y(point.y) + 4, axes.x(point.x) - 9, axes.x(point.x) + 9) for point in points]
    for point in sorted(points, key=lambda point: (point.y, point.x)):
        parts += [_marked(axes, point), _labelled(axes, point, taken)]
    return svg(title, height, "".join(parts))


def _limit_lines(axes: _Axes, limits: Limits) -> str:
    """Return the lines of the limits."""
    parts = []
    if limits.x is not None:
        place = f'x1="{axes.x(limits.x)}" x2="{axes.x(limits.x)}" y1="{TOP}" y2="{axes.height - BOTTOM}"'
        parts.append(f'<line class="limit" {place}/>')
    if limits.y is not None:
        place = f'x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{axes.y(limits.y)}" y2="{axes.y(limits.y)}"'
        parts.append(f'<line class="limit" {place}/>')
    return "".join(parts)


def _steps(axes: _Axes, front: Sequence[tuple[float, float]]) -> str:
    """Return the Pareto front as steps: up to the next point, the earlier one is the best."""
    corners = []
    for index, (x, y) in enumerate(front):
        if index:
            corners.append((axes.x(x), axes.y(front[index - 1][1])))
        corners.append((axes.x(x), axes.y(y)))
    path = " ".join(f"{x},{y}" for x, y in corners)
    return f'<polyline class="front" points="{path}"/>' if len(front) > 1 else ""


def _marked(axes: _Axes, point: Point) -> str:
    """Return the mark and the whisker of a point."""
    x, y = axes.x(point.x), axes.y(point.y)
    name, whisker = f"{point.label}: {milliseconds(point.x)} ms, {point.y:.1f}", ""
    if point.reach:
        ends = f'x1="{x}" x2="{axes.x(point.reach)}" y1="{y}" y2="{y}"'
        whisker = f'<line class="whisker {point.kind}" {ends}/>'
    return f"<g><title>{safe(name)}</title>{whisker}{_mark(x, y, point)}</g>"


def _labelled(axes: _Axes, point: Point, taken: list[_Taken]) -> str:
    """Return the label of a point in free space above or below its mark, and add that space to `taken`."""
    x, y = axes.x(point.x), axes.y(point.y)
    anchor, at = ("end", x + 8) if x > 0.6 * WIDTH else ("start", x - 8)
    width = _CHARACTER_WIDTH * len(point.label)
    left = at - width if anchor == "end" else at
    places = [y + shift for step in range(6) for shift in (-12 - 16 * step, 22 + 16 * step)]

    def is_free(place: float) -> bool:
        return TOP < place < axes.height - BOTTOM and not any(
            abs(place - other.y) < _LABEL_HEIGHT and left < other.right and other.left < left + width
            for other in taken
        )

    place = next(filter(is_free, places), y - 12)
    taken.append(_Taken(place, left, left + width))
    where = f'x="{at}" y="{round(place, 1)}" text-anchor="{anchor}"'
    return f'<text class="label" {where}>{safe(point.label)}</text>'


def _mark(x: float, y: float, point: Point) -> str:
    """Return a circle, square or diamond by precision, so that colour is not the only difference."""
    style = f'class="mark {point.kind}{" hollow" if point.hollow else ""}{" gray" if point.gray else ""}"'
    if point.kind == "int8":
        return f'<path {style} d="M{x} {y - 8}l8 8l-8 8l-8-8z"/>'
    if point.kind in ("float16", "bfloat16"):
        return f'<rect {style} x="{x - 6}" y="{y - 6}" width="12" height="12"/>'
    return f'<circle {style} cx="{x}" cy="{y}" r="7"/>'


def lines(title: str, drawn: Sequence[Line], labels: AxisLabels, *, height: int = 300) -> str:
    """Return a line chart with axes from zero, and every line named at its end."""
    xs = [x for line in drawn for x, _ in line.points]
    ys = [y for line in drawn for _, y in line.points]
    axes = _Axes(xs, ys, labels, height=height)
    parts = [axes.draw()]
    ends: list[float] = []
    for line in drawn:
        places = [(axes.x(x), axes.y(y)) for x, y in line.points]
        parts.append(_polyline(line, places))
        x, y = places[-1]
        while any(abs(y - other) < _LABEL_HEIGHT for other in ends):
            y -= _LABEL_HEIGHT
        ends.append(y)
        where = f'x="{x}" y="{round(y - 9, 1)}" text-anchor="end"'
        parts.append(f'<text class="label" {where}>{safe(line.label)}</text>')
    return svg(title, height, "".join(parts))


def _polyline(line: Line, places: Sequence[tuple[float, float]]) -> str:
    """Return a line, with dots where there are few points."""
    path = " ".join(f"{x},{y}" for x, y in places)
    dots = [f'<circle class="dot {line.kind}" cx="{x}" cy="{y}" r="3"/>' for x, y in places]
    return f'<polyline class="line {line.kind}" points="{path}"/>{"".join(dots) if len(dots) <= 12 else ""}'
