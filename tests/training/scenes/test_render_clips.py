"""Rendered clips of people made of boxes: labels, cameras that move, and what is kept."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from block_people import BlockPeople, strolling_clips

from toolkit.training.render.camera_paths import PATHS, camera_path
from toolkit.training.render.cameras import place_camera
from toolkit.training.scenes.random_scene import PeopleSource
from toolkit.training.scenes.render_clips import ClipSet, render_clips


@pytest.fixture
def source(standing_clips):
    clips = strolling_clips(standing_clips)
    return PeopleSource(BlockPeople(), (clips, clips), "test")


def clip_set(folder, **settings):
    plain = {"seed": 5, "count": 2, "frames": 4, "rates": (30.0, 60.0), "size": (90, 160)}
    return ClipSet(folder, **{**plain, **settings})


@pytest.mark.parametrize("kind", PATHS)
def test_cameras_move_smoothly_and_stay_rotations(kind):
    camera = place_camera((90, 160), 60, 1.5, pitch=10)
    times = np.arange(120) / 60
    path = camera_path(np.random.default_rng(1), camera, kind, times)
    positions = np.array([step.position_m for step in path])
    rotations = np.array([step.rotation for step in path])
    np.testing.assert_allclose(
        rotations @ rotations.swapaxes(1, 2), np.tile(np.eye(3), (120, 1, 1)), atol=1e-12
    )
    moved = np.ptp(positions, axis=0).max() + np.ptp(rotations, axis=0).max()
    assert (moved == 0) == (kind == "static")
    assert np.linalg.norm(np.diff(positions, axis=0), axis=1).max() < 0.05
    assert np.abs(np.diff(rotations, axis=0)).max() < 0.02


def test_labels_project_to_their_pixels_through_each_frames_camera(source, tmp_path):
    render_clips(source, clip_set(tmp_path))
    for index, kind in enumerate(("static", "handheld")):
        record = json.loads((tmp_path / f"{index:03d}.json").read_text())
        assert (record["camera"], record["fps"], record["split"]) == (kind, (30.0, 60.0)[index], "test")
        assert len(record["frames"]) == 4
        pictures = sorted((tmp_path / f"{index:03d}").glob("*.jpg"))
        assert [cv2.imread(str(path)).shape for path in pictures] == [(90, 160, 3)] * 4
        rotations = np.array([frame["rotation"] for frame in record["frames"]])
        assert (np.ptp(rotations, axis=0).max() == 0) == (kind == "static")
        for frame in record["frames"]:
            for person in frame["people"]:
                joints = np.array(person["joints_mm"]) + person["root_mm"]
                projected = record["focal_px"] * joints[:, :2] / joints[:, 2:] + record["principal_px"]
                np.testing.assert_allclose(projected, person["joints_px"], atol=0.05)
                assert 0 <= person["visible"] <= 1


def test_people_of_a_clip_walk_rather_than_jump_in_the_world(source, tmp_path):
    render_clips(source, clip_set(tmp_path))
    record = json.loads((tmp_path / "001.json").read_text())
    roots = [
        np.array(frame["people"][0]["root_mm"]) / 1000 @ np.array(frame["rotation"]) + frame["position_m"]
        for frame in record["frames"]
    ]
    speeds = np.linalg.norm(np.diff(roots, axis=0), axis=1) * record["fps"]
    assert 0.5 < speeds.min() <= speeds.max() < 1.5  # the stroll is 1 m/s at the clip's leg length


def test_clips_come_in_turns_of_rates_cameras_and_numbers_of_people(tmp_path):
    settings = [clip_set(tmp_path, rates=(10.0, 30.0, 60.0)).settings(index) for index in range(21)]
    assert {each.fps for each in settings} == {10.0, 30.0, 60.0}
    assert {each.people for each in settings} == set(range(1, 7))
    for fps in (10.0, 30.0, 60.0):
        assert {each.camera for each in settings if each.fps == fps} == set(PATHS)


def test_equal_seeds_give_equal_bytes_and_finished_clips_are_kept(source, tmp_path):
    for name in "ab":
        render_clips(source, clip_set(tmp_path / name))
    for path in sorted((tmp_path / "a").rglob("*.*")):
        assert path.read_bytes() == (tmp_path / "b" / path.relative_to(tmp_path / "a")).read_bytes()
    (tmp_path / "a/000/0000.jpg").write_bytes(b"kept")
    (tmp_path / "a/001.json").unlink()  # as if interrupted
    render_clips(source, clip_set(tmp_path / "a"))
    assert (tmp_path / "a/000/0000.jpg").read_bytes() == b"kept"
    assert (tmp_path / "a/001.json").read_bytes() == (tmp_path / "b/001.json").read_bytes()


def test_several_cameras_see_the_same_people_at_the_same_instants_from_other_sides(source, tmp_path):
    render_clips(source, clip_set(tmp_path, count=1, views=3))
    records = [json.loads((tmp_path / f"000-{view}.json").read_text()) for view in range(3)]
    assert {record["recording"] for record in records} == {"000"}
    for frame in range(4):
        world = []
        for record in records:
            seen = record["frames"][frame]
            joints = np.array(seen["people"][0]["joints_mm"]) + seen["people"][0]["root_mm"]
            world.append(joints / 1000 @ np.array(seen["rotation"]) + seen["position_m"])
        assert np.ptp(world, axis=0).max() < 0.002
    directions = np.array([record["frames"][0]["rotation"] for record in records])[:, 2]
    cosines = directions @ directions.T
    assert cosines[np.triu_indices(3, 1)].max() < np.cos(np.radians(10))
    pictures = [cv2.imread(str(tmp_path / f"000-{view}/0000.jpg")).astype(int) for view in range(3)]
    assert np.abs(pictures[0] - pictures[1]).mean() > 3


def test_splits_of_one_seed_have_other_places(source, standing_clips, tmp_path):
    clips = strolling_clips(standing_clips)
    other = PeopleSource(BlockPeople(), (replace(clips, splits=("train",)),) * 2, "train")
    for name, people in (("a", source), ("b", other)):
        render_clips(people, clip_set(tmp_path / name, count=1, views=2, people=1))
    cameras = [json.loads((tmp_path / name / "000-1.json").read_text())["frames"][0] for name in "ab"]
    assert cameras[0]["position_m"] != cameras[1]["position_m"]
