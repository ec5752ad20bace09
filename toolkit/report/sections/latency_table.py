"""Section of the report: latency with its confidence, overlap, sustained run, energy, memory and noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...device.result import Result
from ..formatting import DASH, milliseconds, number, safe
from ..tables import table

_HEADINGS = (
    "bundle",
    "frames",
    "first<br>ms",
    "p50<br>ms",
    "p90<br>ms",
    "p99<br>ms",
    "overlap<br>fps",
    "sustained<br>p90 ms",
    "energy<br>mJ per picture",
    "memory<br>MB",
    "noise",
)
_CAPTION = (
    "Single stream: one picture after the other. Small print: 95 % confidence interval by order statistics; "
    "p99 needs 368 frames. First: loading is not in it. With overlap: the next picture is inferred while "
    "this one is decoded, and a picture may take longer. Sustained: the end of the continuous run, which "
    "budgets are compared with. Noise: width of the 95 % interval of the median between turns."
)


def latency_section(results: Sequence[Result]) -> str:
    """Return the section as HTML; empty where nothing ran."""
    ran = [result for result in results if result.has_run]
    if not ran:
        return ""
    body = table(_HEADINGS, [_row(result) for result in ran], _CAPTION + _no_energy(ran), kind="facts")
    return f"<section><h2>Latency</h2>{body}</section>"


def _row(result: Result) -> tuple[str, ...]:
    bench: Mapping[str, Any] = result.bench or {}
    sustained, energy = bench.get("sustained") or {}, bench.get("energy") or {}
    frames = sum(len(turn) for turn in bench["samples"]["rounds"])
    return (
        safe(result.name),
        str(frames),
        milliseconds((bench.get("cold") or {}).get("first_ms")),
        *(
            _percentile(bench["latency"]["total"], bench.get("quantiles"), name)
            for name in ("p50", "p90", "p99")
        ),
        _overlap(bench.get("overlap") or {}),
        milliseconds(sustained.get("last_p90_ms")),
        _energy(energy),
        number((bench.get("memory") or {}).get("peak_mb"), 0),
        _noise(result),
    )


def _percentile(times: Mapping[str, Any], quantiles: Mapping[str, Any] | None, name: str) -> str:
    """Return a percentile with its interval, or the number of frames that it needs."""
    value = milliseconds(times.get(f"{name}_ms"))
    quantile = (quantiles or {}).get(name)
    if not quantile:
        return value
    low, high = quantile["low_ms"], quantile["high_ms"]
    if low is None or high is None:
        return f"{value}<small>too few frames, needs {quantile['needs']:g}</small>"
    return f"{value}<small>{milliseconds(low)} to {milliseconds(high)}</small>"


def _overlap(overlap: Mapping[str, Any]) -> str:
    """Return the rate with overlap, and its p99 where there were enough frames."""
    quantile = (overlap.get("quantiles") or {}).get("p99") or {}
    p99 = f"<small>p99 {milliseconds(overlap['p99_ms'])} ms</small>" if quantile.get("high_ms") else ""
    return number(overlap.get("fps"), 1) + p99


def _no_energy(results: Sequence[Result]) -> str:
    """Return a sentence on why energy is missing; empty where every result has it."""
    energies = [(result.bench or {}).get("energy") or {} for result in results]
    reasons = dict.fromkeys(energy["absent"] for energy in energies if energy.get("absent"))
    return f" No energy: {'; '.join(reasons)}." if reasons else ""


def _energy(energy: Mapping[str, Any]) -> str:
    value = energy.get("mj_per_frame")
    if value is None:
        return DASH
    watts = number(energy.get("watts"), 1, "W")
    return f"{number(value, 1)}<small>{watts}, {safe(energy.get('sensor'))}</small>"


def _noise(result: Result) -> str:
    spread = ((result.bench or {}).get("noise") or {}).get("spread")
    if spread is None:
        return DASH
    why = f"<small title='{safe(result.noise)}'>too noisy to trust</small>" if result.noise else ""
    return f"{number(100 * spread, 0, '%')}{why}"
