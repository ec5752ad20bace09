"""Observers: from statistics of a tensor's values to the range that its integers cover.

An `Observation` takes one frame at a time and has a fixed size. All observers read the same one, so one sweep
serves them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from toolkit.errors import PosecError

Pair = tuple[float, float]

BINS = 4096
_HALF = BINS // 2
_LARGEST_EXPONENT = 128  # of float32
# Weight of the past in the moving average, about twenty frames.
MOMENTUM = 0.95
PERCENT = 99.999
LEVELS = 256
_MSE_STEPS = 128


@dataclass
class Observation:
    """Statistics of one tensor over the frames so far.

    Attributes:
        frames: number of frames.
        low, high: extremes.
        first_low, first_high: extremes of the first frame.
        average_low, average_high: exponential moving averages of each frame's extremes.
        counts: (BINS,) histogram over [-2 ** exponent, 2 ** exponent).
        exponent: grows with the values. Merging pairs of bins is exact, so the order of frames does not
            matter.
        channel_low, channel_high, channel_sum: (C,) per channel of axis 1.
        channel_values: number of values per channel.
    """

    frames: int = 0
    low: float = np.inf
    high: float = -np.inf
    first_low: float = 0.0
    first_high: float = 0.0
    average_low: float = 0.0
    average_high: float = 0.0
    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))
    exponent: int = -20
    channel_low: np.ndarray = field(default_factory=lambda: np.zeros(0))
    channel_high: np.ndarray = field(default_factory=lambda: np.zeros(0))
    channel_sum: np.ndarray = field(default_factory=lambda: np.zeros(0))
    channel_values: int = 0

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Observation:
        """Return an observation from its fields as arrays. Raises ValueError where they disagree."""
        made = cls()
        if set(arrays) != set(vars(made)):
            raise ValueError(f"an observation has fields {', '.join(sorted(arrays)):.200}")
        channels = arrays["channel_low"].shape
        for name, value in vars(made).items():
            shape = (BINS,) if name == "counts" else channels if isinstance(value, np.ndarray) else ()
            kinds = "iu" if name == "counts" or isinstance(value, int) else "f"
            found = arrays[name]
            if (
                found.dtype.kind not in kinds
                or found.shape != shape
                or len(channels) != 1
                or not np.isfinite(found).all()
            ):
                raise ValueError(f"{name} has type {found.dtype} and shape {found.shape}")
            setattr(made, name, found if shape else found.item())
        if not (
            made.frames > 0
            and made.low <= made.high
            and made.channel_values > 0
            and (made.counts >= 0).all()
            and made.counts.sum() > 0
        ):
            raise ValueError("an observation of no frame")
        if (
            not cls.exponent <= made.exponent <= _LARGEST_EXPONENT
            or max(-made.low, made.high) > 2.0**made.exponent
        ):
            raise ValueError(f"a histogram does not cover {made.low} to {made.high}")
        return made

    def add(self, values: np.ndarray) -> None:
        """Add one frame's values (1, C, ...). Raises PosecError where one is not finite."""
        rows = values.reshape(values.shape[1] if values.ndim > 1 else 1, -1)
        lows, highs = rows.min(1), rows.max(1)
        low, high = float(lows.min()), float(highs.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise PosecError(
                f"values from {low} to {high}: the float network overflows; "
                "check its weights and preprocessing"
            )
        first = self.frames == 0
        if first:
            self.first_low, self.first_high = low, high
        self.channel_low = lows if first else np.minimum(self.channel_low, lows)
        self.channel_high = highs if first else np.maximum(self.channel_high, highs)
        self.channel_sum = (0 if first else self.channel_sum) + rows.sum(1, dtype=np.float64)
        self.channel_values += rows.shape[1]
        self.low, self.high = min(self.low, low), max(self.high, high)
        kept = 0.0 if first else MOMENTUM
        self.average_low = kept * self.average_low + (1 - kept) * low
        self.average_high = kept * self.average_high + (1 - kept) * high
        self.frames += 1
        self._count(values)

    def merge(self, later: Observation) -> None:
        """Add the statistics of later frames, as if `add` had got them after its own."""
        past = MOMENTUM**later.frames
        self.average_low = later.average_low + past * (self.average_low - later.first_low)
        self.average_high = later.average_high + past * (self.average_high - later.first_high)
        self.low, self.high = min(self.low, later.low), max(self.high, later.high)
        self.channel_low = np.minimum(self.channel_low, later.channel_low)
        self.channel_high = np.maximum(self.channel_high, later.channel_high)
        self.channel_sum = self.channel_sum + later.channel_sum
        self.channel_values += later.channel_values
        self.frames += later.frames
        widened = replace(later)
        self._widen(later.exponent)
        widened._widen(self.exponent)
        self.counts = self.counts + widened.counts

    def _widen(self, exponent: int) -> None:
        while self.exponent < exponent:
            merged = self.counts.reshape(-1, 2).sum(1)
            self.counts = np.pad(merged, _HALF // 2)
            self.exponent += 1

    def _count(self, values: np.ndarray) -> None:
        while max(-self.low, self.high) > 2.0**self.exponent:
            self._widen(self.exponent + 1)
        # A power of two as factor, and floor before the offset, are exact, whenever bins were merged.
        index = np.floor(values.ravel() * np.float32(_HALF / 2.0**self.exponent)).astype(np.int64)
        index += _HALF
        self.counts += np.bincount(np.minimum(index, BINS - 1, out=index), minlength=BINS)

    @property
    def means(self) -> tuple[float, ...]:
        """Mean of each channel, to six digits."""
        return tuple(float(f"{total / self.channel_values:.6g}") for total in self.channel_sum)

    @property
    def edges(self) -> np.ndarray:
        """(BINS + 1,) edges of the bins."""
        return np.arange(-_HALF, _HALF + 1) * (2.0**self.exponent / _HALF)


def min_max(stats: Observation) -> Pair:
    """Return the extremes."""
    return stats.low, stats.high


def moving_average(stats: Observation) -> Pair:
    """Return the moving average of each frame's extremes (Jacob et al., CVPR 2018, section 3.1)."""
    return stats.average_low, stats.average_high


def percentile(stats: Observation, percent: float = PERCENT) -> Pair:
    """Return the range of `percent` of all values, cut at both ends (Wu et al., arXiv 2004.09602, 3.3)."""
    total = np.concatenate([[0], np.cumsum(stats.counts)])
    tail = (100 - percent) / 200 * total[-1]
    low = float(np.interp(tail, total, stats.edges)) if tail else stats.low
    high = float(np.interp(total[-1] - tail, total, stats.edges)) if tail else stats.high
    return _inside(stats, low, high)


def _inside(stats: Observation, low: float, high: float) -> Pair:
    high = float(min(stats.high, high))
    return float(min(max(stats.low, low), high)), high


def entropy(stats: Observation) -> Pair:
    """Return the range with the least loss of information (Migacz, GTC 2017: 8-bit inference with TensorRT).

    The histogram of magnitudes is clipped at every threshold T. The T with the least Kullback-Leibler
    divergence between the clipped histogram and its image in 128 levels (256 without negative values) is
    chosen. The bin at zero takes the count of its neighbour: ReLU fills it, and zero is exact in integers.
    """
    magnitudes = stats.counts[_HALF:] + (stats.counts[:_HALF][::-1])
    magnitudes[0] = magnitudes[1]
    width = 2.0**stats.exponent / _HALF
    magnitudes = magnitudes[: int(max(-stats.low, stats.high) / width) + 1].astype(np.float64)
    levels = LEVELS if stats.low >= 0 else LEVELS // 2
    candidates = [*range(levels, len(magnitudes), 4), len(magnitudes)]
    scores = [_divergence(magnitudes, stop, levels) for stop in candidates]
    threshold = candidates[int(np.argmin(scores))] * width
    return _inside(stats, -threshold, threshold)


def _divergence(magnitudes: np.ndarray, stop: int, levels: int) -> float:
    kept = magnitudes[:stop]
    clipped = kept.copy()
    clipped[-1] += magnitudes[stop:].sum()
    level = np.arange(stop) * levels // stop
    used = kept > 0
    per_level = np.bincount(level, kept, levels)
    bins_used = np.bincount(level, used, levels)
    spread = np.where(used, (per_level / np.maximum(bins_used, 1))[level], 0.0)
    if not spread.sum():
        return np.inf
    p, q = clipped / clipped.sum(), spread / spread.sum()
    # A bin that only clipped values fill has no image; it costs as much as a very rare value.
    return float(np.sum(p[p > 0] * np.log(p[p > 0] / np.maximum(q[p > 0], 1e-12))))


def mean_squared_error(stats: Observation) -> Pair:
    """Return the range with the least mean squared error (Nagel et al., arXiv 2106.08295, 3.1).

    Both ends shrink together first, then each alone.
    """
    centres = (stats.edges[:-1] + stats.edges[1:]) / 2
    some = stats.counts > 0
    centres, counts = centres[some], stats.counts[some].astype(np.float64)
    shares = np.arange(1, _MSE_STEPS + 1) / _MSE_STEPS
    low = high = _least_error([(share, share) for share in shares], stats, centres=centres, counts=counts)[0]
    if stats.low < 0:
        low, high = _least_error([(share, high) for share in shares], stats, centres=centres, counts=counts)
    low, high = _least_error([(low, share) for share in shares], stats, centres=centres, counts=counts)
    return float(min(stats.low, 0.0) * low), float(max(stats.high, 0.0) * high)


def _least_error(shares: list[Pair], stats: Observation, *, centres: np.ndarray, counts: np.ndarray) -> Pair:
    errors = []
    for low_share, high_share in shares:
        low, high = min(stats.low, 0.0) * low_share, max(stats.high, 0.0) * high_share
        step = max(high - low, 1e-12) / (LEVELS - 1)
        offset = np.rint(low / step)
        rounded = (np.clip(np.rint(centres / step), offset, offset + LEVELS - 1)) * step
        errors.append(float(np.dot(counts, (centres - rounded) ** 2)))
    return shares[int(np.argmin(errors))]


OBSERVERS: dict[str, Callable[[Observation], Pair]] = {
    "min-max": min_max,
    "moving-average": moving_average,
    "percentile": percentile,
    "entropy": entropy,
    "mean-squared-error": mean_squared_error,
}
