"""The samples of the package: small, distinct and correctly labelled."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import toolkit

SAMPLES = Path(toolkit.__file__).parent / "samples"
SETS = ("calibration", "scenes")
PEAK_BYTES = 6_000_000


def records(name):
    return json.loads((SAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def projected(record, person):
    joints = np.array(person["joints_mm"]) + person["root_mm"]
    return record["focal_px"] * joints[:, :2] / joints[:, 2:] + record["principal_px"]


def test_samples_stay_small():
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) < PEAK_BYTES


@pytest.mark.parametrize("name", SETS)
def test_labels_list_every_picture_with_its_size(name):
    found = records(name)
    assert [record["file"] for record in found] == sorted(
        path.name for path in (SAMPLES / name).glob("*.jpg")
    )
    for record in found:
        assert list(cv2.imread(str(SAMPLES / name / record["file"])).shape[:2]) == record["size"]


@pytest.mark.parametrize("name", SETS)
def test_labels_project_to_their_pixels(name):
    for record in records(name):
        for person in record["people"]:
            assert np.array(person["joints_mm"]).shape == (17, 3)
            np.testing.assert_allclose(person["joints_mm"][14], 0)
            np.testing.assert_allclose(projected(record, person), person["joints_px"], atol=0.5)
            assert person["root_mm"][2] > 1000
            assert 0 <= person["visible"] <= 1


@pytest.mark.parametrize("name", SETS)
def test_people_have_human_proportions(name):
    for record in records(name):
        for person in record["people"]:
            joints = np.array(person["joints_mm"])
            bones = {"thigh": (8, 9), "shank": (9, 10), "upper arm": (2, 3), "forearm": (3, 4)}
            lengths = {name: np.linalg.norm(joints[a] - joints[b]) for name, (a, b) in bones.items()}
            # From a small teenager to a man of 2 m.
            assert all(250 < lengths[name] < 550 for name in ("thigh", "shank")), lengths
            assert all(150 < lengths[name] < 370 for name in ("upper arm", "forearm")), lengths


def test_scenes_show_zero_to_six_people():
    counts = [len(record["people"]) for record in records("scenes")]
    assert len(counts) >= 60
    assert counts.count(0) >= 4
    assert max(counts) == 6
    assert 150 <= sum(counts) <= 260


def test_scenes_and_calibration_share_neither_picture_nor_clip():
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in SAMPLES.rglob("*.jpg")]
    assert len(set(digests)) == len(digests)
    clips = [{person["clip"] for record in records(name) for person in record["people"]} for name in SETS]
    assert not clips[0] & clips[1]


def test_most_people_are_visible():
    visible = [person["visible"] for record in records("scenes") for person in record["people"]]
    assert np.median(visible) > 0.8


def test_the_video_has_its_frames_and_labels():
    (record,) = records("clip")
    video = cv2.VideoCapture(str(SAMPLES / "clip.mp4"))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(record["fps"])
    count = 0
    while True:
        read, picture = video.read()
        if not read:
            break
        assert list(picture.shape[:2]) == record["size"]
        count += 1
    assert count == len(record["frames"])
    assert 6 <= count / record["fps"] <= 8
    assert {len(people) for people in record["frames"]} == {len(record["clips"])}
    roots = np.array([[person["root_mm"] for person in people] for people in record["frames"]])
    # People do not jump: at 15 frames per second a brisk walk is 12 cm per frame.
    assert np.linalg.norm(np.diff(roots, axis=0), axis=2).max() < 250
    for people in record["frames"]:
        for person in people:
            np.testing.assert_allclose(projected(record, person), person["joints_px"], atol=0.6)
