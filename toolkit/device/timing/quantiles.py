"""Confidence intervals of latency percentiles by order statistics, and the number of frames that they need.

An interval of a quantile needs no assumption about the distribution: the number of samples below the true
quantile q is binomial (n, q), so two sorted samples bound it (David and Nagaraja, Order Statistics, 7.1).
Frames of one run are not independent, so the true intervals are somewhat wider.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

CONFIDENCE = 0.95
PERCENTILES = (50, 90, 99)
LEAST_FRAMES = 5
LONGEST_EXTENSION = 6.0  # times the asked seconds, to reach the number of frames for p99


class Interval(NamedTuple):
    """Lower and upper bound, in the unit of the samples."""

    low: float
    high: float


def needed_samples(quantile: float, confidence: float = CONFIDENCE) -> int:
    """Return the least number of samples of which the largest bounds a quantile above 0.5 from above.

    All n samples lie below the quantile with probability quantile ** n, which may be half of
    1 - `confidence`: 6 samples for p50, 36 for p90, 368 for p99 at 95 %.
    """
    return math.ceil(math.log((1 - confidence) / 2) / math.log(quantile))


def quantile_interval(
    samples: Sequence[float], quantile: float, confidence: float = CONFIDENCE
) -> Interval | None:
    """Return the interval of a quantile of 0.5 or more; None with fewer than `needed_samples`."""
    count = len(samples)
    if count < needed_samples(quantile, confidence):
        return None
    below = _binomial_distribution(count, quantile)
    tail = (1 - confidence) / 2
    low = max(int(np.searchsorted(below, tail, side="right")) - 1, 0)
    high = min(int(np.searchsorted(below, 1 - tail, side="left")), count - 1)
    ordered = np.sort(np.asarray(samples, np.float64))
    return Interval(float(ordered[low]), float(ordered[high]))


def is_enough(frames: int, elapsed_s: float, asked_s: float) -> bool:
    """Return whether frames fill the asked time and are enough for p99; after six times as long they are."""
    if frames < LEAST_FRAMES or elapsed_s < asked_s:
        return False
    return frames >= needed_samples(PERCENTILES[-1] / 100) or elapsed_s >= LONGEST_EXTENSION * asked_s


def latency_quantiles(totals: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Return p50, p90 and p99 of latencies in ms.

    Each has `value_ms`, `low_ms`, `high_ms` (None with too few frames), and the number of frames it `needs`.
    """
    found = {}
    for percentile in PERCENTILES:
        interval = quantile_interval(totals, percentile / 100)
        found[f"p{percentile}"] = {
            "value_ms": round(float(np.percentile(totals, percentile)), 4),
            "low_ms": round(interval.low, 4) if interval else None,
            "high_ms": round(interval.high, 4) if interval else None,
            "needs": needed_samples(percentile / 100),
        }
    return found


def _binomial_distribution(count: int, share: float) -> np.ndarray:
    """Return P(X <= k) for k = 0 … count - 1 of a binomial distribution."""
    k = np.arange(count, dtype=np.float64)
    steps = np.log((count - k) / (k + 1)) + math.log(share / (1 - share))
    log_mass = count * math.log1p(-share) + np.concatenate([[0.0], np.cumsum(steps)])
    return np.asarray(np.cumsum(np.exp(log_mass))[:count])
