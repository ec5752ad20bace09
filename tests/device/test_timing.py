"""Confidence of percentiles and noise of a bench, on samples with a known distribution."""

import numpy as np
import pytest

from toolkit.device.timing.noise import noise_of
from toolkit.device.timing.quantiles import is_enough, latency_quantiles, needed_samples, quantile_interval


def test_the_number_of_samples_is_that_of_the_binomial_rule():
    assert [needed_samples(share) for share in (0.5, 0.9, 0.99)] == [6, 36, 368]
    assert 0.99**368 <= 0.025 < 0.99**367


@pytest.mark.parametrize(("share", "count"), [(0.5, 40), (0.9, 100), (0.99, 500)])
def test_intervals_hold_the_true_quantile_as_often_as_they_say(share, count):
    rng = np.random.default_rng(0)
    true = -np.log(1 - share)  # of the exponential distribution
    hits = 0
    for _ in range(1000):
        low, high = quantile_interval(rng.exponential(size=count), share)
        hits += low <= true <= high
    assert 945 <= hits <= 1000


def test_a_percentile_without_enough_frames_has_no_interval():
    found = latency_quantiles([float(ms) for ms in range(1, 101)])
    assert (found["p99"]["low_ms"], found["p99"]["high_ms"], found["p99"]["needs"]) == (None, None, 368)
    assert found["p50"]["value_ms"] == 50.5
    assert found["p50"]["low_ms"] < 50.5 < found["p50"]["high_ms"]
    assert quantile_interval([1.0] * 35, 0.9) is None
    assert quantile_interval([1.0] * 36, 0.9) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("frames", "elapsed_s", "enough"),
    [(367, 10.0, False), (368, 10.0, True), (1000, 9.9, False), (5, 60.0, True), (4, 60.0, False)],
)
def test_a_stream_lasts_the_asked_time_and_up_to_six_times_as_long_for_p99(frames, elapsed_s, enough):
    assert is_enough(frames, elapsed_s, asked_s=10.0) is enough


def rounds_of(medians):
    return [[[0.0, 0.0, 0.0, ms, 0.0]] * 3 for ms in medians]


def test_turns_that_differ_and_other_processes_make_a_bench_noisy():
    steady = rounds_of([10.0, 10.2, 9.9, 10.1] * 10)
    assert noise_of(steady, {}) == {"spread": pytest.approx(0.02, abs=0.011), "reasons": []}
    uneven = noise_of(rounds_of([10.0, 14.0] * 10), {})
    assert uneven["reasons"] == ["the median varies by 33 % between turns, allowed 20"]
    busy = noise_of(steady, {"others": 0.4, "stolen": 0.06})["reasons"]
    assert busy == [
        "other processes took 40 % of the processors, allowed 25",
        "the hypervisor took 6 % of the processors, allowed 5",
    ]


def test_with_few_turns_the_whole_range_is_the_spread():
    assert noise_of(rounds_of([10.0, 11.0, 10.0]), {})["spread"] == pytest.approx(0.1)
