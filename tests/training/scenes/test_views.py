"""Views for test sets: each draws its difficulty, from a seed."""

import numpy as np
import pytest

from toolkit.training.scenes.placing import in_view, random_layout
from toolkit.training.scenes.views import VIEWS

CLEAR_M = (8.0, 13.0)


def layouts(name: str, count: int = 3):
    for seed in range(12):
        yield random_layout(np.random.default_rng(seed), (360, 640), count, clear_m=CLEAR_M, view=VIEWS[name])


def test_steep_cameras_look_down_by_30_to_60_degrees():
    pitches = [np.degrees(np.arctan2(*layout.camera.rotation[2, [1, 2]])) for layout in layouts("steep")]
    assert min(pitches) >= 30
    assert max(pitches) <= 60
    assert np.ptp(pitches) > 10


def test_backs_are_turned_to_the_camera():
    for layout in layouts("back"):
        yaws = np.radians(layout.yaws)
        facing = -np.stack([np.sin(yaws), np.cos(yaws)], axis=1)  # yaw 0 faces along -z
        to_camera = -layout.spots_m / np.linalg.norm(layout.spots_m, axis=1, keepdims=True)
        assert ((facing * to_camera).sum(axis=1) <= -np.cos(np.radians(45)) + 1e-9).all()


def test_people_are_cut_off_at_head_or_feet_with_the_torso_in_view():
    for layout in layouts("cut-off"):
        assert all(in_view(layout.camera, spot, whole=False) for spot in layout.spots_m)
        assert not any(in_view(layout.camera, spot, whole=True) for spot in layout.spots_m)


def test_every_second_covered_person_stands_behind_another():
    for layout in layouts("covered", count=2):
        angles = np.degrees(np.arctan2(layout.spots_m[:, 0], layout.spots_m[:, 1]))
        assert (np.abs(np.diff(angles)) < 12).all()
        assert (np.diff(np.linalg.norm(layout.spots_m, axis=1)) > 0.5).all()


def test_small_people_are_far_away():
    heights = []
    for layout in layouts("small"):
        for spot in layout.spots_m:
            top, foot = layout.camera.to_picture(
                layout.camera.to_camera(np.array([[spot[0], y, spot[1]] for y in (-1.75, 0.0)]))
            )
            heights.append(np.linalg.norm(top - foot))
    assert np.median(heights) < 85
    assert max(heights) < 115


@pytest.mark.parametrize("name", VIEWS)
def test_a_seed_draws_the_same_view(name):
    first, again = (
        random_layout(np.random.default_rng(5), (360, 640), 2, clear_m=CLEAR_M, view=VIEWS[name])
        for _ in range(2)
    )
    assert np.array_equal(first.spots_m, again.spots_m)
    assert np.array_equal(first.yaws, again.yaws)
