"""One calibration, four runtimes: the same people, person by person, within stated millimetres."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from networks import spot_picture, tiny_graph_of

import calibration
import targets
from toolkit.errors import PosecError
from toolkit.verification.across_runtimes import across_runtimes

PICTURES = [spot_picture(people, seed=60 + people) for people in range(1, 5)]
TARGETS = ("generic-cpu", "intel-cpu", "raspberry-pi-5", "jetson-orin-nano")
# Mean and 95th percentile. Runtimes of the same integers differ in rounding of halves, and in floats between
# two convolutions. OpenVINO has integer weights in its heads, too. TensorRT's scheme is symmetric, with
# depthwise convolutions in float.
TO_FLOAT_MM = (2.5, 5.0)
SAME_GRAPH_MM = (0.5, 1.5)
AFFINE_MM = (1.5, 3.0)
SYMMETRIC_MM = (3.0, 6.0)


def limits_mm(pair: set[str]) -> tuple[float, float]:
    return SYMMETRIC_MM if "jetson-orin-nano" in pair else AFFINE_MM


@pytest.fixture(scope="module")
def agreed(tmp_path_factory):
    graph = tiny_graph_of()
    chosen = [targets.load(name) for name in TARGETS]
    return across_runtimes(
        graph,
        chosen,
        calibration.collect(graph, PICTURES),
        frames=PICTURES,
        folder=tmp_path_factory.mktemp("bundles"),
        threads=1,
    )


@pytest.mark.parametrize("name", TARGETS)
def test_every_runtime_finds_the_float_networks_people(agreed, name):
    if name in agreed.missing:
        pytest.skip(agreed.missing[name])
    drift = agreed.drifts[name, "float32"]
    assert (drift.people, drift.lost, drift.invented) == (10, (), ())
    assert drift.drift_mm <= TO_FLOAT_MM[0]
    assert drift.drift_p95_mm <= TO_FLOAT_MM[1]


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("other", TARGETS)
def test_any_two_runtimes_find_the_same_people(agreed, name, other):
    if missing := [agreed.missing[each] for each in (name, other) if each in agreed.missing]:
        pytest.skip(missing[0])
    if name == other:
        assert (name, other) not in agreed.drifts
        return
    mean, p95 = limits_mm({name, other})
    drift = agreed.drifts[name, other]
    assert (drift.lost, drift.invented) == ((), ())
    assert drift.drift_mm <= mean
    assert drift.drift_p95_mm <= p95


def test_two_runtimes_of_the_same_integers_hardly_differ(tiny_graph, tmp_path):
    there, other = targets.load("generic-cpu"), targets.load("intel-cpu")
    if why := other.backend.missing():
        pytest.skip(why)
    same = SimpleNamespace(**{**vars(other.backend), "scheme": there.backend.scheme})
    chosen = [there, replace(other, backend=same)]
    found = across_runtimes(
        tiny_graph,
        chosen,
        calibration.collect(tiny_graph, PICTURES),
        frames=PICTURES,
        folder=tmp_path,
        threads=1,
    )
    drift = found.drifts["generic-cpu", "intel-cpu"]
    assert (drift.lost, drift.invented) == ((), ())
    assert drift.drift_mm <= SAME_GRAPH_MM[0]
    assert drift.drift_p95_mm <= SAME_GRAPH_MM[1]


def test_the_table_has_a_row_for_each_and_a_column_for_each_that_ran(agreed):
    rows = agreed.rows()
    assert [row[0] for row in rows[1:]] == [*agreed.engines, *agreed.missing]
    assert {len(row) for row in rows} == {3 + len(agreed.engines)}
    assert rows[0][2:] == ["to float32", *(f"to {name}" for name in agreed.engines)]
    assert agreed
    assert len(json.loads(json.dumps(agreed.to_dict()))["pairs"]) == len(agreed.engines) ** 2


def test_a_missing_runtime_is_named_and_the_others_are_compared(tiny_graph, tmp_path):
    there = targets.load("generic-cpu")
    absent = replace(
        there, name="far-board", backend=SimpleNamespace(missing=lambda: "its converter is not installed")
    )
    found = across_runtimes(
        tiny_graph,
        [there, absent],
        calibration.collect(tiny_graph, PICTURES),
        frames=PICTURES,
        folder=tmp_path,
        threads=1,
    )
    assert found.missing == {"far-board": "its converter is not installed"}
    assert list(found.drifts) == [("generic-cpu", "float32")]


def test_an_invalid_comparison_is_refused(tiny_graph, tmp_path):
    ranges = calibration.collect(tiny_graph, PICTURES)
    with pytest.raises(PosecError, match="found no people"):
        across_runtimes(
            tiny_graph,
            [targets.load("generic-cpu")],
            ranges,
            frames=[np.zeros((60, 90, 3), np.uint8)],
            folder=tmp_path,
        )
    with pytest.raises(PosecError, match="got 'int8'"):
        across_runtimes(tiny_graph, [targets.load("jetson-nano")], ranges, frames=PICTURES, folder=tmp_path)
