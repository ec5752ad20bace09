"""A result measured again: consistent, not consistent, and of another bundle."""

from dataclasses import replace

import pytest
from networks import tiny_graph_of
from tiny_bundles import spoiled, write_tiny_bundle

from toolkit.device.timing.turns import BenchSettings
from toolkit.errors import PosecError
from toolkit.report.consistency import measure_again
from toolkit.report.measure import measure_bundles


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("again")


@pytest.fixture(scope="module")
def result(folder):
    return measure_bundles(
        [write_tiny_bundle(folder / "one").folder],
        settings=BenchSettings(seconds=0.1, frames_per_turn=5, threads=1),
    )[0]


def slower(result, factor):
    """Return the same result with every frame `factor` times as slow."""
    rounds = [
        [[value * factor for value in frame] for frame in turn] for turn in result.bench["samples"]["rounds"]
    ]
    latency = {
        stage: {name: value * factor for name, value in part.items()}
        for stage, part in result.bench["latency"].items()
    }
    return replace(
        result,
        bench={**result.bench, "samples": {**result.bench["samples"], "rounds": rounds}, "latency": latency},
    )


def wide(result):
    """Return the same result with half of the rounds ten times faster, half ten times slower."""
    fast, slow = slower(result, 0.1), slower(result, 10)
    rounds = fast.bench["samples"]["rounds"] + slow.bench["samples"]["rounds"]
    return replace(result, bench={**result.bench, "samples": {**result.bench["samples"], "rounds": rounds}})


def test_a_result_whose_spread_covers_the_new_median_holds(result, folder):
    found = measure_again(wide(result), folder / "one")
    assert found
    assert str(found).startswith("consistent: p50 ")
    assert found.contradictions == ()


def test_a_result_that_was_a_hundred_times_slower_does_not_hold(result, folder):
    found = measure_again(slower(result, 100), folder / "one")
    assert not found
    assert "latency p50" in found.contradictions[0]
    assert str(found).startswith("not consistent")


def test_another_drift_and_another_machine_are_reported(result, folder):
    other = {**result.bench, "machine": {**result.bench["machine"], "cpu": "a slide rule"}}
    found = measure_again(
        replace(wide(replace(result, bench=other)), drift={**result.drift, "drift_mm": 5.0}), folder / "one"
    )
    assert not found
    assert "before: 5.0 mm" in found.contradictions[0]
    assert any(line.startswith("cpu: a slide rule → ") for line in found.differences)


def test_another_bundle_other_pictures_and_a_failure_are_refused(result, folder):
    other = write_tiny_bundle(folder / "other", spoiled(tiny_graph_of(), "depth", 0.1))
    with pytest.raises(PosecError, match="is not the one that was measured"):
        measure_again(result, other.folder)
    with pytest.raises(PosecError, match="not those that the result was measured with"):
        measure_again(result, folder / "one", pictures=folder / "one" / "golden" / "001.png")
    with pytest.raises(PosecError, match="did not run"):
        measure_again(replace(result, bench={**result.bench, "status": "failed"}), folder / "one")
