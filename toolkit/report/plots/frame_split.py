"""A frame split by stage: one stage after the other, and with overlapping stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..formatting import milliseconds, safe
from .charts import WIDTH, svg

STAGES = ("preprocess", "inference", "decode")
_LEFT, _RIGHT, _BAR, _STEP = 150, 76, 16, 24


class FrameSplit(NamedTuple):
    """Times of a frame in ms, of one bundle.

    Attributes:
        name: of the bundle.
        alone: stage → ms, one stage after the other.
        overlapped: stage → ms while the next picture is inferred; empty if that was not measured.
        period_ms: time from one picture to the next with overlap.
    """

    name: str
    alone: Mapping[str, float]
    overlapped: Mapping[str, float]
    period_ms: float


def frame_splits(measured: Sequence[tuple[str, Mapping[str, Any]]]) -> list[FrameSplit]:
    """Return the splits of named measurements of `bench` that have latencies."""
    splits = []
    for name, bench in measured:
        if not bench.get("latency"):
            continue
        alone = {stage: float(bench["latency"][stage]["p50_ms"]) for stage in STAGES}
        overlap = bench.get("overlap") or {}
        period_ms = 1000 / overlap["fps"] if overlap.get("fps") else 0.0
        splits.append(FrameSplit(name, alone, overlap.get("stages_ms") or {}, period_ms))
    return splits


def draw_frame_splits(title: str, splits: Sequence[FrameSplit]) -> str:
    """Return bars of stages from left to right: a bar per bundle, and two lanes for overlapping stages.

    The lanes are the threads. Decoding starts when inference ends, while the other thread begins the next
    picture. A line marks the period, the time from one picture to the next.
    """
    ends = [sum(times.values()) for split in splits for times in (split.alone, split.overlapped)]
    per_ms = (WIDTH - _LEFT - _RIGHT) / max([*ends, *(split.period_ms for split in splits), 1e-9])
    parts: list[str] = []
    y = 6
    for split in splits:
        parts.append(f'<text class="label" x="0" y="{y + 13}">{safe(split.name)}</text>')
        y += _STEP
        total = sum(split.alone.values())
        parts += [_row_name("in sequence", y), *_lane(split.alone, 0.0, per_ms, y=y)]
        parts.append(_text(f"{milliseconds(total)} ms", total * per_ms, y))
        y += _STEP
        if split.overlapped:
            engine = {stage: split.overlapped[stage] for stage in STAGES[:2]}
            inferred = sum(engine.values())
            parts += [_row_name("overlapping", y), *_lane(engine, 0.0, per_ms, y=y)]
            decode = {"decode": split.overlapped["decode"]}
            parts += _lane(decode, inferred, per_ms, y=y + _BAR + 2)
            x = _LEFT + split.period_ms * per_ms
            parts.append(f'<path class="percentile" d="M{x:.1f} {y - 3}v{2 * _BAR + 8}"/>')
            last = max(split.period_ms, inferred) * per_ms
            parts.append(_text(f"every {milliseconds(split.period_ms)} ms", last, y))
            y += _STEP + _BAR
        y += 8
    return svg(title, y, "".join(parts))


def _row_name(text: str, y: float) -> str:
    return f'<text class="tick" x="{_LEFT - 10}" y="{y + 13}" text-anchor="end">{safe(text)}</text>'


def _text(text: str, x: float, y: float) -> str:
    return f'<text class="tick" x="{_LEFT + x + 6:.1f}" y="{y + 13}">{safe(text)}</text>'


def _lane(stages: Mapping[str, float], start_ms: float, per_ms: float, *, y: float) -> list[str]:
    """Return the bars of stages, one after the other from `start_ms`."""
    parts = []
    for stage, ms in stages.items():
        title = f"<title>{safe(stage)} {milliseconds(ms)} ms</title>"
        place = (
            f'x="{_LEFT + start_ms * per_ms:.1f}" y="{y}" width="{max(ms * per_ms, 0.5):.1f}" height="{_BAR}"'
        )
        parts.append(f'<rect class="{stage}" {place}>{title}</rect>')
        start_ms += ms
    return parts
