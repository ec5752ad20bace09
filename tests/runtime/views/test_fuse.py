"""People of several cameras as one: exact triangulation, weights, and the numbers of people."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from two_cameras import POSES, seen, walk

from toolkit.runtime.errors import PoseError
from toolkit.runtime.pose import MUPOTS17
from toolkit.runtime.views.camera_poses import read_poses, write_poses
from toolkit.runtime.views.fuse import fuse
from toolkit.runtime.views.run_fused import FusedNumbers

A, B = POSES
ROOTS, JOINTS = walk(np.array([0.0, 9.0]))
PEOPLE = list(zip(ROOTS, JOINTS, strict=True))


def test_one_person_of_two_cameras_is_one_person_in_the_first_cameras_frame():
    fused = fuse([seen(PEOPLE[:1], pose) for pose in POSES], POSES)
    assert fused.members == [{0: 0, 1: 0}]
    np.testing.assert_allclose(fused.people.roots_mm[0], ROOTS[0], atol=1)
    np.testing.assert_allclose(fused.people.joints_mm[0], JOINTS[0], atol=1)
    np.testing.assert_allclose(fused.people.joints_px[0], seen(PEOPLE[:1], A).joints_px[0])


def test_two_rays_correct_a_wrong_distance():
    views = [seen(PEOPLE[:1], pose) for pose in POSES]
    far = views[0].roots_mm * 1.2  # as of a tall person
    views[0] = replace(views[0], roots_mm=far)
    fused = fuse(views, POSES)
    alone = np.linalg.norm(far[0] - ROOTS[0])
    assert alone > 500
    assert np.linalg.norm(fused.people.roots_mm[0] - ROOTS[0]) < 0.05 * alone


def test_noise_falls_and_each_axis_comes_from_the_camera_that_sees_it():
    errors = {"one": [], "two": []}
    for seed in range(40):
        views = [seen(PEOPLE[:1], pose, noise=1, seed=seed + 100 * index) for index, pose in enumerate(POSES)]
        fused = fuse(views, POSES)
        for name, people in (("one", views[0]), ("two", fused.people)):
            errors[name].append(np.linalg.norm(people.roots_mm[0] - ROOTS[0]))
    assert np.mean(errors["two"]) < 0.3 * np.mean(errors["one"])


@pytest.mark.parametrize(("score", "expected"), [(0.9, 20), (0.1, 4)])
def test_the_score_weighs_a_camera(score, expected):
    views = [seen(PEOPLE[:1], pose) for pose in POSES]
    lower = np.float32([0, 40, 0]) @ B.rotation.astype(np.float32)  # y is across both rays
    views[1] = replace(views[1], scores=np.float32([score]), joints_mm=views[1].joints_mm + lower)
    fused = fuse(views, POSES)
    assert fused.members == [{0: 0, 1: 0}]
    assert (fused.people.joints_mm[0] - JOINTS[0])[:, 1].mean() == pytest.approx(expected, abs=1.0)


def test_two_people_are_matched_whatever_their_order_and_strangers_stay():
    views = [seen(PEOPLE, A), seen(PEOPLE[::-1], B)]
    fused = fuse(views, POSES)
    assert sorted(map(str, fused.members)) == sorted(map(str, [{0: 0, 1: 1}, {0: 1, 1: 0}]))
    stranger = (ROOTS[0] - [0, 900, 0], JOINTS[0])  # on a gallery above
    fused = fuse([seen(PEOPLE[:1], A), seen([stranger], B)], POSES)
    assert sorted(map(str, fused.members)) == sorted(map(str, [{0: 0}, {1: 0}]))
    alone = next(row for row, group in enumerate(fused.members) if 0 not in group)
    np.testing.assert_allclose(fused.people.roots_mm[alone], stranger[0], atol=1)


def test_no_people_stay_none():
    fused = fuse([seen([], pose) for pose in POSES], POSES)
    assert len(fused.people) == 0
    assert fused.people.joints_mm.shape == (0, len(MUPOTS17.names), 3)


def test_numbers_stay_while_one_camera_follows():
    numbers = FusedNumbers()
    assert numbers.update([{0: 1, 1: 5}]) == [1]
    assert numbers.update([{1: 5}]) == [1]
    assert numbers.update([{0: 2, 1: 5}]) == [1]
    assert numbers.update([{0: 2}, {1: 5}]) == [1, 2]  # parted: the first keeps the number
    assert numbers.update([{0: 3}]) == [3]


def test_poses_are_read_as_written(tmp_path):
    write_poses(tmp_path / "poses.json", POSES, {"sources": ["a", "b"]})
    found = read_poses(tmp_path / "poses.json")
    np.testing.assert_allclose(found[1].rotation, B.rotation, atol=1e-7)
    np.testing.assert_allclose(found[1].position_mm, B.position_mm)
    assert (found[1].offset_s, found[1].focal_px) == (0, 500)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format 2"),
        ({"cameras": []}, "0 cameras"),
        ({"rotation": [[2, 0, 0], [0, 1, 0], [0, 0, 1]]}, "a rotation is not one"),
        ({"position_mm": [1e12, 0, 0]}, "out of range"),
        ({"focal_px": -3}, "out of range"),
        ({"offset_s": None}, "holds no camera poses"),
    ],
)
def test_other_files_are_refused(tmp_path, change, words):
    path = tmp_path / "poses.json"
    write_poses(path, POSES)
    plain = json.loads(path.read_text())
    for name, value in change.items():
        (plain if name in plain else plain["cameras"][1])[name] = value
    path.write_text(json.dumps(plain))
    with pytest.raises(PoseError, match=words):
        read_poses(path)
