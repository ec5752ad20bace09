"""Bootstrap confidence intervals of accuracy, by picture.

People in one picture are not independent, so whole pictures are drawn with replacement, within each sequence
where there are sequences. Intervals are percentiles (Efron and Tibshirani, An Introduction to the Bootstrap,
1993, chapter 13). Neighbouring frames of a video are not independent either: intervals of videos are too
narrow.

A measure is a function of the weights of the pictures, so that a draw costs one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

LOW, HIGH = 2.5, 97.5
MOST_RESAMPLES = 100_000
_CELLS = 4 << 20  # of the weights that are held at once
NO_DIFFERENCE = "no difference that these data show"
TOO_FEW = "too few pictures"


class Measure(Protocol):
    """A figure of accuracy over F pictures."""

    def at(self, weights: np.ndarray) -> np.ndarray:
        """Return the values (R,) for R draws with `weights` (R, F); NaN where nothing is averaged."""

    def support(self) -> int:
        """Return the number of pictures that a draw chooses from: below 2 there is no interval."""


@dataclass(frozen=True)
class Ratio:
    """A ratio of sums over pictures, or its unweighted mean over sequences.

    Attributes:
        above, below: (F,) numerator and denominator of each picture.
        scale: factor of the result.
        groups: (F,) int, the sequence of each picture; None for one ratio of all pictures.
    """

    above: np.ndarray
    below: np.ndarray
    scale: float = 1.0
    groups: np.ndarray | None = None

    def at(self, weights: np.ndarray) -> np.ndarray:
        """Return the values (R,) for `weights` (R, F)."""
        groups = np.zeros(len(self.above), int) if self.groups is None else self.groups
        members = np.eye(int(groups.max(initial=0)) + 1)[groups]
        above, below = (weights @ (np.asarray(part)[:, None] * members) for part in (self.above, self.below))
        ratios = np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
        known = np.isfinite(ratios)
        sums, counts = np.where(known, ratios, 0).sum(axis=1), known.sum(axis=1)
        means = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
        return np.asarray(self.scale * means)

    def support(self) -> int:
        """Return the number of pictures with something to average, the most of any sequence."""
        counts = np.bincount(
            np.zeros(len(self.below), int) if self.groups is None else self.groups,
            weights=np.asarray(self.below) > 0,
        )
        return int(counts.max(initial=0))


@dataclass(frozen=True)
class AveragePrecision:
    """Average precision in percent, as `metrics.average_precision`, over weighted pictures.

    Attributes:
        scores: (P,) of all predictions.
        hits: (P,) bool, true positives.
        pictures: (P,) int, the picture of each prediction.
        positives: (F,) number of true people of each picture.
    """

    scores: np.ndarray
    hits: np.ndarray
    pictures: np.ndarray
    positives: np.ndarray

    def at(self, weights: np.ndarray) -> np.ndarray:
        """Return the values (R,) for `weights` (R, F)."""
        order = np.argsort(-np.asarray(self.scores, np.float64), kind="stable")
        drawn = weights[:, np.asarray(self.pictures, int)[order]]
        right = drawn * np.asarray(self.hits, bool)[order]
        precision = np.cumsum(right, axis=1) / np.maximum(np.cumsum(drawn, axis=1), 1e-12)
        positives = weights @ self.positives
        area = (precision * right).sum(axis=1)
        return np.asarray(
            100 * np.divide(area, positives, out=np.full(len(area), np.nan), where=positives > 0)
        )

    def support(self) -> int:
        """Return the number of pictures with true people."""
        return int((np.asarray(self.positives) > 0).sum())


class Bootstrap(NamedTuple):
    """Number of draws, 0 for no intervals, and their seed."""

    resamples: int = 1000
    seed: int = 0


class Subset(NamedTuple):
    """The figures of one row of a protocol.

    Attributes:
        protocol, subset: names of the row.
        counts: of people, predictions and the like.
        measures: by name; all over the same F pictures.
        pictures: F.
        groups: (F,) int, the sequence of each picture; None without sequences.
    """

    protocol: str
    subset: str
    counts: Mapping[str, int]
    measures: Mapping[str, Measure]
    pictures: int
    groups: np.ndarray | None = None


def rows_of(subsets: Sequence[Subset], bootstrap: Bootstrap | None = None) -> list[dict[str, Any]]:
    """Return the row of each subset: `protocol`, `subset`, counts and measures, None without a value.

    With a bootstrap, rows of two or more pictures also have `intervals` (measure → low and high of the 95 %
    interval, in the measure's unit), `resamples` and `pictures`. A measure of people in one picture alone
    has no interval.
    """
    return [_row(subset, bootstrap) for subset in subsets]


def _row(subset: Subset, bootstrap: Bootstrap | None) -> dict[str, Any]:
    values = _values(subset, np.ones((1, subset.pictures)))
    row: dict[str, Any] = {"protocol": subset.protocol, "subset": subset.subset, **subset.counts}
    row.update((name, _plain(value[0])) for name, value in values.items())
    if bootstrap and bootstrap.resamples and subset.pictures > 1:
        drawn = [_values(subset, weights) for weights in _draws(subset, bootstrap)]
        row["intervals"] = {
            name: interval
            for name, measure in subset.measures.items()
            if measure.support() > 1
            and (interval := _interval(np.concatenate([part[name] for part in drawn]))) is not None
        }
        row["resamples"], row["pictures"] = bootstrap.resamples, subset.pictures
    return row


def compare(
    mine: Sequence[Subset], other: Sequence[Subset], bootstrap: Bootstrap | None = None
) -> list[dict[str, Any]]:
    """Return the paired differences, mine minus other, of two networks on the same pictures.

    Both networks are measured on the same draws, so that hard pictures count for both.

    Args:
        mine, other: rows of the same protocol on the same pictures.
        bootstrap: None for its defaults.

    Returns:
        One record per subset and measure: `protocol`, `subset`, `measure`, `difference`, `low`, `high` of the
        95 % interval, and `finding`: NO_DIFFERENCE where the interval holds 0, else "higher" or "lower";
        TOO_FEW, without interval, where fewer than two pictures have such people. Measures without a value on
        either side are left out.

    Raises ValueError for different subsets or numbers of pictures.
    """
    if [part[:2] + part[4:5] for part in mine] != [part[:2] + part[4:5] for part in other]:
        raise ValueError("a paired comparison needs the same subsets and pictures on both sides")
    records = []
    for left, right in zip(mine, other):
        whole = np.ones((1, left.pictures))
        ours, theirs = _values(left, whole), _values(right, whole)
        names = [name for name in ours if name in theirs and np.isfinite(ours[name][0] - theirs[name][0])]
        drawn: dict[str, list[np.ndarray]] = {name: [] for name in names}
        for weights in _draws(left, bootstrap or Bootstrap()):
            a, b = _values(left, weights), _values(right, weights)
            for name in names:
                drawn[name].append(a[name] - b[name])
        for name in names:
            difference = float(ours[name][0] - theirs[name][0])
            interval = _interval(np.concatenate(drawn[name]))
            if interval is None or left.measures[name].support() < 2 or right.measures[name].support() < 2:
                low, high, finding = None, None, TOO_FEW
            else:
                low, high = interval
                finding = NO_DIFFERENCE if low <= 0 <= high else "higher" if low > 0 else "lower"
            records.append(
                {
                    "protocol": left.protocol,
                    "subset": left.subset,
                    "measure": name,
                    "difference": difference,
                    "low": low,
                    "high": high,
                    "finding": finding,
                }
            )
    return records


def _values(subset: Subset, weights: np.ndarray) -> dict[str, np.ndarray]:
    return {name: measure.at(weights) for name, measure in subset.measures.items()}


def _draws(subset: Subset, bootstrap: Bootstrap) -> Iterator[np.ndarray]:
    """Yield weights (R, F), how often each picture is drawn, up to the number of resamples."""
    random = np.random.default_rng(bootstrap.seed)
    groups = np.zeros(subset.pictures, int) if subset.groups is None else subset.groups
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    widest = max(subset.pictures, *(_width(measure) for measure in subset.measures.values()), 1)
    chunk = max(_CELLS // widest, 1)
    for start in range(0, bootstrap.resamples, chunk):
        count = min(chunk, bootstrap.resamples - start)
        weights = np.zeros((count, subset.pictures))
        for chosen in members:
            weights[:, chosen] = random.multinomial(len(chosen), np.full(len(chosen), 1 / len(chosen)), count)
        yield weights


def _width(measure: Measure) -> int:
    return len(measure.scores) if isinstance(measure, AveragePrecision) else 0


def _interval(values: np.ndarray) -> list[float] | None:
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.percentile(values, [LOW, HIGH])
    return [float(low), float(high)]


def _plain(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
