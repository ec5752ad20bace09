"""Latency figures from the samples of a bench: percentiles, ratios of bundles, steadiness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .worker import STAGES
from .worker_process import WorkerProcess

# Columns of a sample in ms. "cpu" is processor time of all threads, which other processes affect least.
COLUMNS = (*STAGES, "total", "cpu")


def summary(rounds: Sequence[Sequence[Sequence[float]]]) -> dict[str, dict[str, float]]:
    """Return p50, p90, p99, mean and maximum in ms of every column over all counted frames."""
    samples = np.array([frame[: len(COLUMNS)] for turn in rounds for frame in turn], np.float64)
    return {name: _percentiles(samples[:, column]) for column, name in enumerate(COLUMNS)}


def steady(slices: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the latencies in the first and the last fifth of a sustained run, and the ratio of the medians.

    `last_p90_ms`, which budgets are compared with, is the median of the 90th percentiles of the last fifth.
    """
    fifth = max(1, len(slices) // 5)
    first, last = (
        float(np.median([entry["p50_ms"] for entry in part])) for part in (slices[:fifth], slices[-fifth:])
    )
    last_p90 = float(np.median([entry["p90_ms"] for entry in slices[-fifth:]]))
    return {
        "first_p50_ms": first,
        "last_p50_ms": last,
        "last_p90_ms": last_p90,
        "slower": last / first,
        "seconds": slices[-1]["at_s"],
        "slices": list(slices),
    }


def _percentiles(values: np.ndarray) -> dict[str, float]:
    found = {f"p{q}_ms": round(float(np.percentile(values, q)), 4) for q in (50, 90, 99)}
    return {
        **found,
        "mean_ms": round(float(values.mean()), 4),
        "most_ms": round(float(values.max()), 4),
        "frames": len(values),
    }


def ratios(
    index: int, rounds: Sequence[Any], workers: Sequence[WorkerProcess]
) -> dict[str, dict[str, float]]:
    """Return the ratios of this bundle's medians to every other bundle's, and p10 and p90 over rounds."""
    found = {}
    for other, worker in enumerate(workers):
        if other == index or worker.failed:
            continue
        mine, theirs = (
            np.array(rounds[i])[:, :, [COLUMNS.index("total"), COLUMNS.index("cpu")]] for i in (index, other)
        )
        of_medians, of_cpu = np.median(mine, axis=(0, 1)) / np.median(theirs, axis=(0, 1))
        low, high = np.percentile(
            np.median(mine[..., 0], axis=1) / np.median(theirs[..., 0], axis=1), (10, 90)
        )
        found[str(worker.folder)] = {
            "of_medians": float(of_medians),
            "p10": float(low),
            "p90": float(high),
            "of_cpu": float(of_cpu),
        }
    return found
