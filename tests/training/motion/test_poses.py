"""Retargeting and variation of poses, without a body model."""

import numpy as np
import pytest

from toolkit.training.motion.poses import random_arm, vary
from toolkit.training.motion.retarget import bone_orientations, neutral_places, shortest_rotation, turns_of
from toolkit.training.motion.stances import STANCES, change_stance
from toolkit.training.motion.turns import about, joint_index, turn_to


def places_of(clips, turns):
    """Return the joint positions (J, 3) of turns, body axes."""
    neutral, found = neutral_places(clips), np.zeros((len(turns), 3))
    for joint, parent in enumerate(clips.parents):
        if parent >= 0:
            found[joint] = found[parent] + turns[parent] @ (neutral[joint] - neutral[parent])
    return found


def test_the_neutral_stance_has_identity_turns_and_faces_the_front(standing_clips):
    np.testing.assert_allclose(
        turns_of(standing_clips, np.array([0, 1])), np.tile(np.eye(3), (2, 15, 1, 1)), atol=1e-12
    )
    places = neutral_places(standing_clips)
    assert places[joint_index(standing_clips, "UpLeg", "Left"), 0] == pytest.approx(0.1)
    assert places[joint_index(standing_clips, "Foot", "Left"), 2] == pytest.approx(-0.83)


def test_limbs_of_a_body_with_another_rest_pose_point_along_the_clips(standing_clips):
    bones, parents = ("Hips", "LeftArm", "LeftForeArm", "LeftHand"), (-1, 0, 1, 2)
    heads = np.array([[0, 0, 0], [0.2, 0, 0.5], [0.4, 0, 0.3], [0.5, -0.1, 0.1]], np.float64)
    orientations = bone_orientations(
        standing_clips,
        turns_of(standing_clips, np.array([0])),
        bones,
        parents=parents,
        rest_heads=heads,
        rest_axes=np.tile(np.eye(3), (4, 1, 1)),
    )[0]
    for bone, end in ((1, 2), (2, 3)):
        direction = orientations[bone] @ (heads[end] - heads[bone])
        np.testing.assert_allclose(direction / np.linalg.norm(direction), [0, 0, -1], atol=1e-9)


def test_sitting_raises_the_thighs_and_keeps_the_feet_below(standing_clips):
    hip, knee, ankle = (joint_index(standing_clips, part, "Left") for part in ("UpLeg", "Leg", "Foot"))
    for seed in range(20):
        turns = turns_of(standing_clips, np.array([0]))[0]
        assert change_stance(standing_clips, turns, np.random.default_rng(seed), stance="sit")
        places = places_of(standing_clips, turns)
        thigh, shank = places[knee] - places[hip], places[ankle] - places[knee]
        assert -0.42 < thigh[2] < 0.42 * np.sin(np.radians(20))
        assert thigh[1] < -0.25
        assert shank[2] < -0.2


@pytest.mark.parametrize("stance", STANCES)
def test_stances_are_rotations_and_leave_lying_poses_unchanged(standing_clips, stance):
    turns = turns_of(standing_clips, np.array([0]))[0]
    assert change_stance(standing_clips, turns, np.random.default_rng(1), stance=stance)
    np.testing.assert_allclose(turns @ np.swapaxes(turns, -1, -2), np.tile(np.eye(3), (15, 1, 1)), atol=1e-9)
    lying = about("x", 80) @ turns_of(standing_clips, np.array([0]))[0]
    before = lying.copy()
    assert not change_stance(standing_clips, lying, np.random.default_rng(1), stance=stance)
    np.testing.assert_array_equal(lying, before)


def test_random_arms_always_find_a_pose(standing_clips):
    rng = np.random.default_rng(0)
    arm, elbow, wrist = (joint_index(standing_clips, part, "Right") for part in ("Arm", "ForeArm", "Hand"))
    for _ in range(500):
        turns = turns_of(standing_clips, np.array([0]))[0]
        random_arm(standing_clips, turns, rng, side="Right")
        places = places_of(standing_clips, turns)
        assert np.linalg.det(turns[arm]) == pytest.approx(1)
        # Neither the upper arm nor the forearm ends far behind the back.
        assert (places[elbow] - places[arm])[1] < 0.46 * 0.28
        assert (places[wrist] - places[elbow])[1] < 0.51 * 0.26


def test_a_turned_joint_turns_the_joints_below_it(standing_clips):
    turns = turns_of(standing_clips, np.array([0]))[0]
    shoulder, elbow = (
        joint_index(standing_clips, "Arm", "Left"),
        joint_index(standing_clips, "ForeArm", "Left"),
    )
    turn_to(standing_clips, turns, shoulder, target=about("x", 40))
    turn_to(standing_clips, turns, joint_index(standing_clips, "hips"), target=about("z", 90))
    np.testing.assert_allclose(turns[elbow], about("z", 90) @ about("x", 40), atol=1e-12)


def test_equal_seeds_give_equal_variations(standing_clips):
    one, two = (turns_of(standing_clips, np.array([0]))[0] for _ in range(2))
    for turns in (one, two):
        vary(
            standing_clips,
            turns,
            np.random.default_rng(3),
            others=turns_of(standing_clips, np.array([0, 1])),
            changed=1.0,
        )
    np.testing.assert_array_equal(one, two)
    assert not np.allclose(one, np.eye(3))


@pytest.mark.parametrize("end", [(0, 0, 1.0), (0.3, -0.4, 0.2), (1.0, 1, 1)])
def test_shortest_rotation_reaches_its_end(end):
    turned = shortest_rotation(np.array([0.0, 0, 2]), np.array(end)) @ [0, 0, 1]
    np.testing.assert_allclose(turned, np.array(end) / np.linalg.norm(end), atol=1e-12)
