"""Kinds of moves, and the unsteadiness of a network, on poses with known changes."""

import numpy as np
import pytest
from standing_people import people_at

from toolkit.device.comparison.moved import MIRRORED, ONE_LIMB, SWAPPED, WHOLE_BODY, cause_of, move_of
from toolkit.device.comparison.unsteadiness import measure_unsteadiness, perturbed
from toolkit.device.drift import RATIO_LIMIT, measure_drift, ratio_limits
from toolkit.runtime.pose import MUPOTS17

RNG = np.random.default_rng(0)
POSE = RNG.normal(0, 300, (17, 3))
LIMITS = {"drift_mm": 1.0, "people_lost": 0.1, "people_invented": 0.1}


def with_wrist(mm):
    moved = POSE.copy()
    for name in ("right_wrist", "right_elbow", "right_shoulder"):
        moved[MUPOTS17.names.index(name)] += mm
    return moved


@pytest.mark.parametrize(
    ("found", "cause"),
    [
        (POSE[list(MUPOTS17.mirror)] + RNG.normal(0, 5, (17, 3)), SWAPPED),
        (POSE * [1, 1, -1] + RNG.normal(0, 5, (17, 3)), MIRRORED),
        (with_wrist(100), ONE_LIMB),
        (POSE + RNG.normal(0, 40, (17, 3)), WHOLE_BODY),
    ],
    ids=["swap", "mirror", "limb", "body"],
)
def test_a_move_has_its_cause(found, cause):
    assert cause_of(found, POSE, MUPOTS17) == cause


def test_a_move_names_the_joint_that_moved_most():
    found = POSE.copy()
    found[MUPOTS17.names.index("left_knee")] += [30, 40, 0]
    move = move_of(found, POSE, MUPOTS17, frame=3, height_px=120.0)
    assert (move.joint, move.joint_mm, move.frame) == ("left_knee", pytest.approx(50.0), 3)
    assert move.drift_mm == pytest.approx(50 / 17)


def test_a_changed_picture_is_the_picture_one_pixel_to_the_right():
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[16:48, 16:48] = 200
    changed = perturbed(picture)
    assert changed.shape == picture.shape
    assert np.abs(changed[:, 1:].astype(int) - picture[:, :-1]).mean() < 2
    assert np.abs(changed.astype(int) - picture).mean() > 2


def moved_by(people, mm):
    from dataclasses import replace

    return replace(people, joints_mm=people.joints_mm + np.float32([mm, 0, 0]))


def test_the_ratio_is_of_the_drift_and_the_networks_own():
    people = [people_at((40, 60), (120, 60))]
    own = measure_unsteadiness([moved_by(people[0], 4)], people, MUPOTS17)
    assert own.drift_mm == pytest.approx(4, rel=1e-4)
    from dataclasses import replace

    limits = ratio_limits(LIMITS, 1.5)
    drift = measure_drift([moved_by(people[0], 5)], people, MUPOTS17, allowed=limits)
    assert RATIO_LIMIT in drift.missed  # not measured is not within
    drift = replace(drift, unsteadiness=own)
    assert drift
    assert drift.drift_ratio == pytest.approx(1.25, rel=1e-4)
    assert not measure_drift([moved_by(people[0], 5)], people, MUPOTS17, allowed=LIMITS)
    assert measure_unsteadiness([], [], MUPOTS17) is None
