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
from toolkit.ir.float_engine import FloatEngine
from toolkit.runtime.bundle import read_bundle
from toolkit.runtime.estimator import PoseEstimator
from toolkit.verification.candidate_bench import SearchSettings
from toolkit.verification.precision_search import PrecisionSearch, search_precision

PICTURES = [spot_picture(people, 70 + people) for people in range(5)]
LOOSE = dict.fromkeys(LIMITS, 1e6)


@pytest.fixture
def ranges(tiny_graph, people_pictures):
    return collect(tiny_graph, people_pictures)


def search(graph, ranges, pictures, out, allowed=None, *, progress=lambda line: None, **settings):
    """Search the precision for generic-cpu."""
    settings = SearchSettings(out=out, allowed=allowed, **settings)
    target = targets.load("generic-cpu")
    return search_precision(graph, target, ranges, frames=pictures, settings=settings, progress=progress)


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_int8_is_taken_where_it_is_within_the_limits(tiny_graph, ranges, tmp_path):
    found = search(tiny_graph, ranges, PICTURES, tmp_path / "out", LOOSE, golden=[])
    assert found
    assert [candidate.name for candidate in found.candidates] == ["int8"]
    assert found.taken is found.candidates[0]
    assert read_bundle(tmp_path / "out").precision == "int8"
    assert found.candidates[0].latency_ms > 0
    assert found.candidates[0].drift.drift_mm > 0


def test_the_smallest_sufficient_number_of_layers_is_left_float(tiny_graph, ranges, tmp_path):
    whole = (
        search(tiny_graph, ranges, PICTURES, tmp_path / "whole", LOOSE, golden=[])
        .candidates[0]
        .drift.drift_mm
    )
    allowed = {**LOOSE, "drift_mm": 0.8 * whole}
    lines: list[str] = []
    found = search(tiny_graph, ranges, PICTURES, tmp_path / "out", allowed, golden=[], progress=lines.append)
    assert found.taken is not None
    assert found.taken.drift.drift_mm <= allowed["drift_mm"]
    kept = [candidate for candidate in found.candidates if candidate.precision == "int8"]
    assert kept[0].float_layers == ()
    assert all(
        candidate.float_layers == kept[-1].float_layers[: len(candidate.float_layers)] or candidate.drift
        for candidate in kept
    )
    fewer = [
        candidate
        for candidate in found.candidates
        if candidate.precision == found.taken.precision
        and len(candidate.float_layers) < len(found.taken.float_layers)
    ]
    assert not any(candidate.drift for candidate in fewer)
    bundle = read_bundle(tmp_path / "out")
    assert set(found.taken.float_layers) <= set(bundle.float_layers) or bundle.precision == "float32"
    assert lines[-1] == f"taken: {found.taken.name}"
    again = search(tiny_graph, ranges, PICTURES, tmp_path / "again", allowed, golden=[])
    assert content(tmp_path / "out") == content(tmp_path / "again")
    assert [candidate.name for candidate in again.candidates] == [
        candidate.name for candidate in found.candidates
    ]
    json.dumps(found.to_dict())


def test_a_candidate_must_be_within_the_limits_on_its_golden_pictures_too(tiny_graph, ranges, tmp_path):

    def int8_drift_mm(picture: np.ndarray) -> float:
        return (
            search(tiny_graph, ranges, [picture], tmp_path / "alone", LOOSE, golden=[], overwrite=True)
            .candidates[0]
            .drift.drift_mm
        )

    calm, *_, shaken = sorted(PICTURES[1:], key=int8_drift_mm)
    allowed = {**LOOSE, "drift_mm": (int8_drift_mm(calm) + int8_drift_mm(shaken)) / 2}
    found = search(tiny_graph, ranges, [calm], tmp_path / "out", allowed, golden=[shaken])
    int8 = found.candidates[0]
    assert int8.drift
    assert not int8
    assert found.rows()[1][-1] == "misses drift_mm on its golden pictures"
    assert found.taken is not None
    assert found.taken is not int8
    assert verify_golden(tmp_path / "out", allowed=allowed)
    assert [each["golden"]["within"] for each in found.to_dict()["rungs"] if each["taken"]] == [True]
    without = search(
        tiny_graph,
        ranges,
        [calm],
        tmp_path / "without",
        allowed,
        golden=[np.zeros((60, 90, 3), np.uint8)],
    )
    assert without.taken is without.candidates[0], "golden pictures without people set no limit"


def test_nothing_is_written_where_no_candidate_is_within_the_limits(tiny_graph, ranges, tmp_path):
    impossible = {"drift_mm": -1.0, "people_lost": 0.0, "people_invented": 0.0}
    found = search(tiny_graph, ranges, PICTURES, tmp_path / "out", impossible, golden=[])
    assert not found
    assert found.bundle is None
    assert found.candidates[-1].name == "float32"
    assert not (tmp_path / "out").exists()
    assert all(row[-1].startswith("misses drift_mm") for row in found.rows()[1:])


def test_the_float_network_finds_people_once_for_all_candidates(tiny_graph, ranges, tmp_path, monkeypatch):
    detected, detect = [], PoseEstimator.detect

    def counted(estimator, picture, focal_px=None):
        if isinstance(estimator.engine, FloatEngine):
            detected.append(picture.tobytes())
        return detect(estimator, picture, focal_px)

    monkeypatch.setattr(PoseEstimator, "detect", counted)
    impossible = {"drift_mm": -1.0, "people_lost": 0.0, "people_invented": 0.0}
    found = search(tiny_graph, ranges, PICTURES, tmp_path / "out", impossible, golden=[])
    assert len(found.candidates) > 3
    assert {picture.tobytes() for picture in PICTURES} <= set(detected)
    assert len(detected) == len(set(detected))


def test_a_measurement_without_people_or_pictures_is_refused(tiny_graph, ranges, tmp_path):
    with pytest.raises(PosecError, match="no frames to measure drift on"):
        search(tiny_graph, ranges, [], tmp_path / "out")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    with pytest.raises(PosecError, match="is not a bundle"):
        search(tiny_graph, ranges, PICTURES, tmp_path / "taken")
    with pytest.raises(PosecError, match="found no people"):
        search(tiny_graph, ranges, [np.zeros((60, 90, 3), np.uint8)], tmp_path / "out")


def test_a_search_that_took_no_candidate_is_false():
    assert not PrecisionSearch((), None, None)
