"""A calibration file: a round trip, and refusals of any other file."""

from __future__ import annotations

import json

import pytest

from toolkit.errors import PosecError
from toolkit.ir.ranges import Ranges

RANGES = Ranges(
    {"b": (-1.0, 0.1), "a": (0.0, 6.0)},
    "min-max",
    "0" * 64,
    ("1" * 64, "2" * 64),
    {"onnxruntime": "1.20"},
    {"a": (0.5, 1 / 3), "b": (-0.25,)},
)


def test_saved_ranges_are_loaded(tmp_path):
    RANGES.save(tmp_path / "calibration.json")
    found = Ranges.load(tmp_path / "calibration.json")
    assert found == RANGES
    assert found.sha256 == RANGES.sha256
    assert [path.name for path in tmp_path.iterdir()] == ["calibration.json"]


def test_any_change_changes_the_hash():
    plain = vars(RANGES)
    changes = [
        {"observer": "entropy"},
        {"graph_sha256": "3" * 64},
        {"frames_sha256": ()},
        {"tensors": {"a": (0.0, 6.0)}},
        {"versions": {}},
        {"means": {}},
    ]
    assert len({RANGES.sha256, *(Ranges(**{**plain, **change}).sha256 for change in changes)}) == 7


@pytest.mark.parametrize("pair", [(1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_a_range_must_be_finite_and_ordered(pair):
    with pytest.raises(PosecError, match="tensor 'a' must be finite and ordered"):
        Ranges({"a": pair}, "min-max", "", ())


def test_means_must_be_finite():
    with pytest.raises(PosecError, match="means of tensor 'a' must be finite"):
        Ranges({}, "min-max", "", (), means={"a": (0.0, float("nan"))})


def test_a_file_without_means_is_read(tmp_path):
    (tmp_path / "calibration.json").write_text(saved())
    assert Ranges.load(tmp_path / "calibration.json").means == {}


def saved(**changes):
    plain = {
        "format": 1,
        "observer": "min-max",
        "graph_sha256": "",
        "frames_sha256": [],
        "versions": {},
        "tensors": {"a": [0, 1]},
        **changes,
    }
    return json.dumps(plain)


WRONG = {
    "no JSON": "{",
    "a list": "[]",
    "deep": "[" * 100_000,
    "tensors in a list": saved(tensors=[1]),
    "three numbers": saved(tensors={"a": [0, 1, 2]}),
    "a word": saved(tensors={"a": [0, "high"]}),
    "means of words": saved(means={"a": ["much"]}),
    "no versions": saved(versions=None),
    "no frames": saved(frames_sha256=None),
    "a number of 400 digits": saved(tensors={"a": [0, 10**400]}),
    "an infinity by its digits": saved().replace("[0, 1]", "[0, 1e999]"),
    "NaN": saved(means={"a": [float("nan")]}),
    "a format of 400 digits": saved(format=10**400),
    "an observer that is a list": saved(observer=["min-max"]),
    "frames that are numbers": saved(frames_sha256=[1]),
    "versions that are tables": saved(versions={"numpy": {}}),
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_file_of_another_form_is_refused(text, tmp_path):
    (tmp_path / "calibration.json").write_text(text)
    with pytest.raises(
        PosecError, match=r"is (not a calibration file|not JSON).*; make one with `posec calibrate`"
    ):
        Ranges.load(tmp_path / "calibration.json")


def test_a_newer_format_and_a_missing_file_have_different_errors(tmp_path):
    (tmp_path / "calibration.json").write_text(saved(format=2))
    with pytest.raises(PosecError, match="has calibration format 2, this posec reads 1"):
        Ranges.load(tmp_path / "calibration.json")
    with pytest.raises(PosecError, match="no calibration file"):
        Ranges.load(tmp_path / "nowhere.json")
    with pytest.raises(PosecError, match="it is a folder, not a plain file; make one with `posec calibrate`"):
        Ranges.load(tmp_path)
