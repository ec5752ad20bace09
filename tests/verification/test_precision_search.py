import json
from pathlib import Path

import numpy as np
import pytest
from networks import spot_picture

import targets
from calibration import collect
from toolkit.device.drift import LIMITS
from toolkit.device.golden_check import verify_golden
from toolkit.errors import PosecError
from toolkit.runtime.bundle import read_bundle
from toolkit.verification.precision_search import Ladder, climb

PICTURES = [spot_picture(people, 70 + people) for people in range(5)]
LOOSE = dict.fromkeys(LIMITS, 1e6)


@pytest.fixture
def ranges(tiny_graph, people_pictures):
    return collect(tiny_graph, people_pictures)


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_int8_is_taken_where_the_people_survive_it(tiny_graph, ranges, tmp_path):
    found = climb(
        tiny_graph, targets.load("generic-cpu"), ranges, PICTURES, tmp_path / "out", LOOSE, golden=[]
    )
    assert found
    assert [rung.name for rung in found.rungs] == ["int8"]
    assert found.taken is found.rungs[0]
    assert read_bundle(tmp_path / "out").precision == "int8"
    assert found.rungs[0].latency_ms > 0
    assert found.rungs[0].drift.drift_mm > 0


def test_as_few_layers_as_suffice_are_left_float(tiny_graph, ranges, tmp_path):
    target = targets.load("generic-cpu")
    whole = (
        climb(tiny_graph, target, ranges, PICTURES, tmp_path / "whole", LOOSE, golden=[])
        .rungs[0]
        .drift.drift_mm
    )
    allowed = {**LOOSE, "drift_mm": 0.8 * whole}
    lines: list[str] = []
    found = climb(
        tiny_graph, target, ranges, PICTURES, tmp_path / "out", allowed, golden=[], say=lines.append
    )
    assert found.taken is not None
    assert found.taken.drift.drift_mm <= allowed["drift_mm"]
    kept = [rung for rung in found.rungs if rung.precision == "int8"]
    assert kept[0].float_layers == ()
    assert all(
        rung.float_layers == kept[-1].float_layers[: len(rung.float_layers)] or rung.drift for rung in kept
    )
    fewer = [
        rung
        for rung in found.rungs
        if rung.precision == found.taken.precision and len(rung.float_layers) < len(found.taken.float_layers)
    ]
    assert not any(rung.drift for rung in fewer)
    bundle = read_bundle(tmp_path / "out")
    assert set(found.taken.float_layers) <= set(bundle.float_layers) or bundle.precision == "float32"
    assert lines[-1] == f"taken: {found.taken.name}"
    again = climb(tiny_graph, target, ranges, PICTURES, tmp_path / "again", allowed, golden=[])
    assert content(tmp_path / "out") == content(tmp_path / "again")
    assert [rung.name for rung in again.rungs] == [rung.name for rung in found.rungs]
    json.dumps(found.to_dict())


def test_a_rung_must_keep_its_golden_people_as_well(tiny_graph, ranges, tmp_path):
    target = targets.load("generic-cpu")

    def int8_drift_mm(picture: np.ndarray) -> float:
        return (
            climb(tiny_graph, target, ranges, [picture], tmp_path / "alone", LOOSE, golden=[], overwrite=True)
            .rungs[0]
            .drift.drift_mm
        )

    calm, *_, shaken = sorted(PICTURES[1:], key=int8_drift_mm)
    allowed = {**LOOSE, "drift_mm": (int8_drift_mm(calm) + int8_drift_mm(shaken)) / 2}
    found = climb(tiny_graph, target, ranges, [calm], tmp_path / "out", allowed, golden=[shaken])
    int8 = found.rungs[0]
    assert int8.drift
    assert not int8
    assert found.rows()[1][-1] == "misses drift_mm on its golden pictures"
    assert found.taken is not None
    assert found.taken is not int8
    assert verify_golden(tmp_path / "out", allowed=allowed)
    assert [rung["golden"]["within"] for rung in found.to_dict()["rungs"] if rung["taken"]] == [True]
    without = climb(
        tiny_graph,
        target,
        ranges,
        [calm],
        tmp_path / "without",
        allowed,
        golden=[np.zeros((60, 90, 3), np.uint8)],
    )
    assert without.taken is without.rungs[0], "golden pictures of nobody ask for nobody"


def test_nothing_is_written_where_no_rung_is_good_enough(tiny_graph, ranges, tmp_path):
    impossible = {"drift_mm": -1.0, "people_lost": 0.0, "people_invented": 0.0}
    found = climb(
        tiny_graph, targets.load("generic-cpu"), ranges, PICTURES, tmp_path / "out", impossible, golden=[]
    )
    assert not found
    assert found.bundle is None
    assert found.rungs[-1].name == "float32"
    assert not (tmp_path / "out").exists()
    assert all(row[-1].startswith("misses drift_mm") for row in found.rows()[1:])


def test_what_cannot_be_judged_is_refused(tiny_graph, ranges, tmp_path):
    target = targets.load("generic-cpu")
    with pytest.raises(PosecError, match="no frames to judge on"):
        climb(tiny_graph, target, ranges, [], tmp_path / "out")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    with pytest.raises(PosecError, match="is no bundle"):
        climb(tiny_graph, target, ranges, PICTURES, tmp_path / "taken")
    with pytest.raises(PosecError, match="found no people"):
        climb(tiny_graph, target, ranges, [np.zeros((60, 90, 3), np.uint8)], tmp_path / "out")


def test_a_ladder_without_a_rung_taken_is_false():
    assert not Ladder((), None, None)
