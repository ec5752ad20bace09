"""Joints in the picture near their key points, and poses beside other people."""

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
    true_person,
)
from recorded_heads import mark, recorded_heads

from toolkit.runtime.decoding.bone_prior import REFINEMENT


def test_joints_near_their_key_points_lie_on_them_and_the_3d_pose_does_not_follow():
    person = true_person(2)
    heads, truth = heads_with_keypoints([person], [predicted(person, 2)]), joints_of(person)
    plain, snapped = decoded(heads, dataclasses.replace(REFINEMENT, snap_m=0)), decoded(heads)
    assert error_px(snapped, truth) < 0.6 * error_px(plain, truth)
    for name in ("scores", "centres_px", "joints_mm", "roots_mm"):
        assert np.array_equal(getattr(snapped, name), getattr(plain, name)), name
    others = [joint for joint in range(17) if joint not in JOINTS]
    assert np.array_equal(snapped.joints_px[:, others], plain.joints_px[:, others])


def test_no_joint_jumps_when_a_key_point_passes_by():
    """Small moves of key points, as by int8, cause small moves of joints_px, also at the limit of reach."""
    person = true_person(6)
    heads = heads_with_keypoints([person], [person], of=tuple(range(1, 12)))
    x, y = joints_of(person)[0, JOINTS[0]]
    places = []
    for step in np.linspace(-40, 40, 321):  # px
        passing = {name: values.copy() for name, values in heads.items()}
        mark(passing, SPEC, 1, x + step, y + 3)
        places.append(decoded(passing).joints_px[0])
    assert np.abs(np.diff(places, axis=0)).max() < 1.0  # for key points 0.25 px apart


def test_one_person_and_fifty_have_the_same_pose():
    """What one person is found to be must not depend on how many others are decoded with them."""
    spec = dataclasses.replace(SPEC, centre_threshold=0.3)
    people = [
        dataclasses.replace(
            true_person(seed),
            row=2 + 4 * (seed // 8),
            column=3 + 7 * (seed % 8),
            depth=1.2,
            score=0.9 - seed / 100,
        )
        for seed in range(50)
    ]
    predictions = [predicted(person, seed, 0.3) for seed, person in enumerate(people)]
    truth = [decoded(recorded_heads([person], spec), None).joints_px[0] for person in people]

    def heads_of(indices):
        heads = recorded_heads([predictions[index] for index in indices], spec)
        for index in indices:
            mark(heads, spec, 1 + index % 12, *truth[index][JOINTS[index % 12]])
        return heads

    together = decoded(heads_of(range(50)))
    assert len(together) == 50
    for index in range(50):
        alone = decoded(heads_of([index]))[0]
        found = together[int(np.linalg.norm(together.centres_px - alone.centre_px, axis=1).argmin())]
        assert found.joints_mm == pytest.approx(alone.joints_mm, abs=0.02), index
        assert found.joints_px == pytest.approx(alone.joints_px, abs=1e-3), index
