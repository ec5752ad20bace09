import numpy as np
import pytest

from calibration.observers import (
    BINS,
    LEVELS,
    OBSERVERS,
    Observation,
    entropy,
    mean_squared_error,
    min_max,
    moving_average,
    percentile,
)
from toolkit.errors import PosecError


def observed(*frames: np.ndarray) -> Observation:
    seen = Observation()
    for frame in frames:
        seen.add(np.asarray(frame, np.float32).reshape(1, 1, -1))
    return seen


def error(values: np.ndarray, pair: tuple[float, float]) -> float:
    """Return the mean squared error of values in LEVELS integers over a range."""
    low, high = min(pair[0], 0), max(pair[1], 0)
    step = (high - low) / (LEVELS - 1)
    return float(
        np.mean(
            (
                np.clip(np.rint(values / step), np.rint(low / step), np.rint(low / step) + LEVELS - 1) * step
                - values
            )
            ** 2
        )
    )


@pytest.fixture(scope="module")
def heavy_tail() -> np.ndarray:
    """Many small values and a few large ones, which min-max has to cover."""
    random = np.random.default_rng(0)
    return np.concatenate([random.normal(0, 1, 200_000), [40.0, -35.0]]).astype(np.float32)


def test_the_histogram_grows_with_the_values_and_forgets_none():
    random = np.random.default_rng(1)
    frames = [random.normal(0, scale, 5000).astype(np.float32) for scale in (0.01, 3.0, 0.5, 100.0)]
    seen, backwards = observed(*frames), observed(*frames[::-1])
    assert seen.counts.shape == (BINS,)
    assert seen.counts.sum() == 20_000
    np.testing.assert_array_equal(seen.counts, backwards.counts)
    expected, _ = np.histogram(np.concatenate(frames), seen.edges)
    np.testing.assert_array_equal(seen.counts, expected)


def test_min_max_covers_every_frame():
    assert min_max(observed([-1.0, 2.0], [-3.0, 1.0])) == (-3.0, 2.0)


def test_moving_average_follows_the_extremes_slowly():
    low, high = moving_average(observed([0.0, 1.0], [-1.0, 2.0]))
    assert (low, high) == pytest.approx((-0.05, 1.05))


def test_percentile_cuts_both_tails_equally(heavy_tail):
    low, high = percentile(observed(heavy_tail), 99.0)
    assert (low, high) == pytest.approx(tuple(np.percentile(heavy_tail, [0.5, 99.5])), abs=0.03)
    assert percentile(observed(heavy_tail), 100.0) == min_max(observed(heavy_tail))


@pytest.mark.parametrize("observer", [entropy, mean_squared_error])
def test_rare_large_values_are_given_up_for_many_small_ones(observer, heavy_tail):
    low, high = observer(observed(heavy_tail))
    assert -35 < low < -2
    assert 2 < high < 40


def test_mean_squared_error_is_smaller_than_with_min_max(heavy_tail):
    seen = observed(heavy_tail)
    assert error(heavy_tail, mean_squared_error(seen)) < 0.9 * error(heavy_tail, min_max(seen))


@pytest.mark.parametrize("observer", [entropy, mean_squared_error, percentile])
def test_values_spread_evenly_lose_nothing(observer):
    values = np.random.default_rng(2).uniform(-3, 5, 100_000)
    low, high = observer(observed(values))
    assert (low, high) == pytest.approx((-3, 5), abs=0.1)


@pytest.mark.parametrize("name", OBSERVERS)
def test_every_observer_copes_with_rectified_constant_and_zero_tensors(name, heavy_tail):
    low, high = OBSERVERS[name](observed(np.maximum(heavy_tail, 0)))
    assert low == pytest.approx(0, abs=0.02)
    assert 2 < high <= 40
    for value in (0.0, 3.0, -2.0):
        low, high = OBSERVERS[name](observed(np.full(100, value)))
        assert low <= high
        assert min(low, 0) <= value <= max(high, 0) + 1e-6


def test_channels_have_separate_statistics():
    seen = Observation()
    seen.add(np.asarray([[[1.0, 2.0], [-4.0, 8.0]]], np.float32))
    seen.add(np.asarray([[[0.0, 1.0], [0.0, 0.0]]], np.float32))
    np.testing.assert_array_equal(seen.channel_low, [0.0, -4.0])
    np.testing.assert_array_equal(seen.channel_high, [2.0, 8.0])
    np.testing.assert_array_equal(seen.channel_sum / seen.channel_values, [1.0, 1.0])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_network_that_overflows_is_reported(value):
    with pytest.raises(PosecError, match="overflows"):
        observed([0.0, value])
