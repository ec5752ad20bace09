"""People decoded with key points: what the fit must gain, and what it must leave alone."""

import dataclasses

import numpy as np
import pytest
from keypoint_people import (
    JOINTS,
    SPEC,
    decoded,
    error_px,
    heads_with_keypoints,
    joints_of,
    predicted,
    same,
    true_person,
)
from recorded_heads import mark, recorded_heads, replay_bundle

from toolkit.runtime import load
from toolkit.runtime.decoding.bone_prior import REFINEMENT, Refinement


@pytest.mark.parametrize("seed", range(8))
def test_joints_come_to_lie_on_their_key_points(seed):
    person = true_person(seed)
    heads, truth = heads_with_keypoints([person], [predicted(person, seed)]), joints_of(person)
    before, after = error_px(decoded(heads, None), truth), error_px(decoded(heads), truth)
    assert after < 0.5 * before


def test_a_fit_in_the_picture_gains_in_depth_too():
    """The fit must on average keep the depths, which the key points do not determine."""
    people = [true_person(seed) for seed in range(12)]
    errors = np.zeros(2)
    for seed, person in enumerate(people):
        truth = decoded(recorded_heads([person], SPEC), None)
        heads = heads_with_keypoints([person], [predicted(person, seed)])
        for index, how in enumerate((None, REFINEMENT)):
            errors[index] += np.linalg.norm(decoded(heads, how).joints_mm - truth.joints_mm, axis=-1).mean()
    assert errors[1] < errors[0]


def test_a_stiff_prior_keeps_the_network_s_pose():
    person = true_person(1)
    heads = heads_with_keypoints([person], [predicted(person, 1)])
    stiff = Refinement(bone=0, bone_per_bone=0, turn=0, scale=0, centre_m=0, snap_m=0)
    assert decoded(heads, stiff).joints_mm == pytest.approx(decoded(heads, None).joints_mm, abs=0.1)


@pytest.mark.parametrize("case", ["no key point", "faint", "out of reach", "no joint"])
def test_a_person_without_key_points_keeps_the_network_s_pose(case):
    person = true_person(2)
    heads = recorded_heads([person], SPEC)
    if case == "faint":
        heads = heads_with_keypoints([person], [predicted(person, 2)], heat=0.9 * REFINEMENT.least_heat)
    elif case == "out of reach":
        mark(heads, SPEC, 1, 8.0, 8.0)
    elif case == "no joint":
        mark(heads, SPEC, 0, *joints_of(person)[0, 0])
    without, found = decoded(heads, None), decoded(heads)
    for name in ("scores", "centres_px", "joints_mm", "roots_mm", "joints_px"):
        assert np.array_equal(getattr(found, name), getattr(without, name)), name


def test_no_people_stay_no_people():
    heads = recorded_heads([], SPEC)
    mark(heads, SPEC, 3, 100.0, 100.0)
    assert len(decoded(heads)) == 0


def test_one_key_point_moves_its_person_a_little():
    """Two numbers for 14 unknowns: the prior decides among all that fit."""
    person = true_person(3)
    heads = heads_with_keypoints([person], [predicted(person, 3)], of=[0])
    joint, truth = JOINTS[0], joints_of(person)[0]
    before, after = decoded(heads, None)[0], decoded(heads)[0]
    apart = [np.linalg.norm(found.joints_px[joint] - truth[joint]) for found in (before, after)]
    assert apart[1] < 0.5 * apart[0]
    assert np.linalg.norm(after.joints_px - before.joints_px, axis=-1).max() < 2 * apart[0]


def test_people_take_their_own_key_points_in_any_order():
    people = [true_person(4, column=16), true_person(5, column=42)]
    predictions = [predicted(person, seed) for seed, person in enumerate(people)]
    both = decoded(heads_with_keypoints(people, predictions))
    for person, hint in zip(people, predictions, strict=True):
        alone = decoded(heads_with_keypoints([person], [hint]))[0]
        found = min(both, key=lambda other: float(np.abs(other.centre_px - alone.centre_px).sum()))
        assert found.joints_px == pytest.approx(alone.joints_px, abs=0.02)
        assert found.joints_mm == pytest.approx(alone.joints_mm, abs=0.5)


def test_the_same_heads_give_the_same_people():
    people = [true_person(seed, column=8 + 12 * seed) for seed in range(4)]
    heads = heads_with_keypoints(people, [predicted(person, seed) for seed, person in enumerate(people)])
    assert same(decoded(heads), decoded(heads))


def test_heads_are_left_as_they_are():
    person = true_person(6)
    heads = heads_with_keypoints([person], [predicted(person, 6)])
    kept = {name: values.copy() for name, values in heads.items()}
    decoded(heads)
    assert all(np.array_equal(heads[name], kept[name]) for name in heads)


def test_evidence_changes_scores_and_the_people_kept():
    seen, unseen = true_person(1, column=14), dataclasses.replace(true_person(2, column=44), score=0.85)
    heads = heads_with_keypoints([seen], [seen, unseen])
    assert decoded(heads).scores == pytest.approx([0.85, 0.8])
    trusting = decoded(heads, Refinement(evidence=0.02, usual=4.0))
    pull = (
        12 * (0.9 - REFINEMENT.least_heat) / (1 - REFINEMENT.least_heat)
    )  # of key points exactly at the joints
    assert trusting.scores == pytest.approx([0.8 + 0.02 * (pull - 4), 0.85 - 0.02 * 4], abs=2e-3)
    assert len(decoded(heads, Refinement(evidence=0.2, usual=4.0))) == 1


def test_two_that_are_drawn_together_are_one():
    person = true_person(8)
    twin = dataclasses.replace(
        predicted(person, 8), row=13, score=0.6, offset=(person.offset[0], person.offset[1] + 3 - 1.4)
    )
    heads = heads_with_keypoints([person], [predicted(person, 9), twin])
    assert len(decoded(heads)) <= len(decoded(heads, None))


def test_an_estimator_fits_by_default(tmp_path):
    person = true_person(1)
    heads = heads_with_keypoints([person], [predicted(person, 1)])
    replay_bundle(tmp_path / "bundle", heads, SPEC)
    picture = np.zeros((*SPEC.input_size, 3), np.uint8)
    fitted, plain = (
        load(str(tmp_path / "bundle"), refine=refine)(picture, focal_px=400.0) for refine in (True, False)
    )
    assert same(fitted, decoded(heads))
    assert same(plain, decoded(heads, None))
    assert not same(fitted, plain)
    assert "head keypoint_offset:" in load(str(tmp_path / "bundle")).explain(picture)
