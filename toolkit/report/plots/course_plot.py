"""Plot over time: one coordinate of one joint, true and as each filter returns it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..formatting import safe
from .charts import WIDTH, svg, ticks

HEIGHT = 250
LEFT, RIGHT, TOP, BOTTOM = 58, 18, 12, 46
_KINDS = ("float32", "float16", "int8", "bfloat16")  # style classes with a colour each
_Series = Sequence[float | None]


def course_plot(course: Mapping[str, Any]) -> str:
    """Return a plot for each filter of a course, below each other: the truth dashed, the filter as a line.

    Args:
        course: see `evaluation.clips.course`.
    """
    values = [*course["truth_mm"], *(v for series in course["found_mm"].values() for v in series)]
    finite = [value for value in values if value is not None]
    span = ticks(min(finite), max(finite), 4)
    plots = [
        _plot(course, name, series, span=(span[0], span[-1]), kind=_KINDS[index % len(_KINDS)])
        for index, (name, series) in enumerate(course["found_mm"].items())
    ]
    return "".join(plots)


def _plot(
    course: Mapping[str, Any], name: str, series: _Series, *, span: tuple[float, float], kind: str
) -> str:
    seconds = course["seconds"]
    long_s = max(seconds[-1], 1e-6)
    low, high = span

    def at(second: float, value: float) -> str:
        x = LEFT + second / long_s * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - (value - low) / max(high - low, 1e-6) * (HEIGHT - TOP - BOTTOM)
        return f"{x:.1f},{y:.1f}"

    parts = []
    for value in ticks(low, high, 4):
        y = at(0, value).split(",")[1]
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 8}" y="{float(y) + 4}" text-anchor="end">{value:g}</text>'
        )
    for second in ticks(0, long_s, 5):
        if second <= long_s:
            x = at(second, low).split(",")[0]
            place = f'x="{x}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle"'
            parts.append(f'<text class="tick" {place}>{second:g} s</text>')
    parts += _polylines(seconds, course["truth_mm"], at, 'class="limit"')
    parts += _polylines(seconds, series, at, f'class="line {kind}"')
    label = f"{name}: {course['joint'].replace('_', ' ')}, {course['axis']} in mm"
    parts.append(f'<text class="name" x="{LEFT}" y="{HEIGHT - 6}">{safe(label)}</text>')
    return svg(label, HEIGHT, "".join(parts))


def _polylines(seconds: Sequence[float], series: _Series, at: Any, style: str) -> list[str]:
    """Return a line for each run of values without a gap."""
    runs: list[list[str]] = [[]]
    for second, value in zip(seconds, series, strict=True):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(at(second, value))
    return [f'<polyline fill="none" {style} points="{" ".join(run)}"/>' for run in runs if len(run) > 1]
