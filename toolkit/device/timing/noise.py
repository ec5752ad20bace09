"""Noise of a bench: whether its latencies are steady enough to compare with a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .latency import COLUMNS
from .quantiles import quantile_interval

WIDEST = 0.2  # of the interval of the turns' median, relative to it: within 10 % up or down
MOST_BUSY = 0.25  # share of the processors that other processes may take
MOST_STOLEN = 0.05  # share of the time that a hypervisor may take


def noise_of(rounds: Sequence[Sequence[Sequence[float]]], busy: Mapping[str, float]) -> dict[str, Any]:
    """Return the noise of a bench.

    Args:
        rounds: turns of frames, see `COLUMNS`.
        busy: shares of other processes and of the hypervisor, see `busy_share`.

    Returns:
        `spread`: width of the 95 % interval of the median turn over the median, or the whole range with fewer
        than six turns; `reasons` why the latencies are too noisy to trust; none if they are steady.
    """
    medians = [float(np.median([frame[COLUMNS.index("total")] for frame in turn])) for turn in rounds]
    bounds = quantile_interval(medians, 0.5) or (min(medians), max(medians))
    spread = (bounds[1] - bounds[0]) / float(np.median(medians))
    shares = (
        ("other processes took", busy.get("others", 0.0), MOST_BUSY),
        ("the hypervisor took", busy.get("stolen", 0.0), MOST_STOLEN),
    )
    reasons = [
        f"{who} {100 * share:.0f} % of the processors, allowed {100 * most:.0f}"
        for who, share, most in shares
        if share > most
    ]
    if spread > WIDEST:
        reasons.insert(
            0, f"the median varies by {100 * spread:.0f} % between turns, allowed {100 * WIDEST:.0f}"
        )
    return {"spread": round(spread, 4), "reasons": reasons}
