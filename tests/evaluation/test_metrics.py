"""Metrics on predictions of known quality."""

import numpy as np
import pytest

from toolkit.evaluation import metrics
from toolkit.runtime.pose import MUPOTS17


@pytest.fixture
def poses() -> np.ndarray:
    """Three people (3, 17, 3) in mm, pelvis at 0."""
    random = np.random.default_rng(3)
    joints = random.normal(0, 300, (3, 17, 3))
    return joints - joints[:, 14:15]


def turn(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])


def test_a_perfect_pose_reaches_pck_100_and_auc_30_of_31(poses):
    errors = metrics.joint_errors_mm(poses, poses)
    assert metrics.pck(errors) == 100
    assert metrics.auc(errors) == pytest.approx(100 * 30 / 31)  # nothing is strictly below 0 mm
    assert metrics.mpjpe(poses, poses) == 0
    assert metrics.pa_mpjpe(poses, poses) == pytest.approx(0, abs=1e-6)


def test_mpjpe_is_the_mean_length_of_the_errors(poses):
    moved = poses + np.array([3.0, 4.0, 0.0])
    assert metrics.mpjpe(moved, poses) == pytest.approx(5)
    moved[1:] = poses[1:]
    assert metrics.mpjpe(moved, poses) == pytest.approx(5 / 3)


def test_procrustes_forgives_turn_size_and_place_but_no_mirror(poses):
    similar = 1.3 * poses @ turn(70) + np.array([10.0, -20, 400])
    assert metrics.pa_mpjpe(similar, poses) == pytest.approx(0, abs=1e-6)
    assert metrics.mpjpe(similar, poses) > 100
    assert metrics.pa_mpjpe(poses * np.array([-1.0, 1, 1]), poses) > 50


def test_procrustes_of_a_point_does_not_divide_by_zero(poses):
    assert np.isfinite(metrics.procrustes(np.zeros((17, 3)), poses[0])).all()


def test_size_does_not_matter_after_bones_are_rescaled(poses):
    bent = poses + np.random.default_rng(0).normal(0, 60, poses.shape) * (np.arange(17) != 14)[:, None]
    plain, bigger = (
        metrics.joint_errors_mm(metrics.rescale_bones(scale * bent, poses, MUPOTS17), poses)
        for scale in (1.0, 1.3)
    )
    assert metrics.pck(plain) == metrics.pck(bigger)
    assert np.allclose(plain, bigger)
    assert metrics.pck(metrics.joint_errors_mm(1.3 * bent, poses)) != metrics.pck(
        metrics.joint_errors_mm(bent, poses)
    )


def test_rescaled_bones_have_the_true_lengths(poses):
    rescaled = metrics.rescale_bones(poses[::-1] * 0.7, poses, MUPOTS17)
    for joint, parent in enumerate(MUPOTS17.parents):
        if parent >= 0:
            lengths = [np.linalg.norm(pose[:, joint] - pose[:, parent], axis=1) for pose in (rescaled, poses)]
            assert np.allclose(*lengths)


def test_pck_is_strict_and_counts_joints():
    errors = np.array([[0.0, 149.999], [150.0, metrics.UNMATCHED_MM]])
    assert metrics.pck(errors) == 50
    assert np.isnan(metrics.pck(np.zeros((0, 14))))


def test_a_mirrored_pose_scores_low():
    standing = np.zeros((1, 17, 3))
    for bone, joint in enumerate(MUPOTS17.bones):
        side = (
            -1
            if MUPOTS17.names[joint].startswith("right")
            else 1
            if MUPOTS17.names[joint].startswith("left")
            else 0
        )
        standing[:, joint] = standing[:, MUPOTS17.parents[joint]] + MUPOTS17.bone_lengths_mm[bone] * np.array(
            [side, 0.3, 0.2]
        )
    mirrored = standing[:, list(MUPOTS17.mirror)]
    scored = [MUPOTS17.index(name) for name in metrics.MUPOTS_SCORED]
    assert metrics.pck(metrics.joint_errors_mm(mirrored, standing)[:, scored]) < 20


def test_oks_is_one_at_the_truth_and_falls_as_in_coco():
    truth, sigmas = np.zeros((2, 2)), np.array([0.1, 0.1])
    assert metrics.oks(truth, truth, np.array([1, 1]), area_px=100.0, sigmas=sigmas) == 1
    one_sigma = np.array([[2.0, 0.0], [50.0, 0.0]])  # 2 sigma sqrt(area) = 2 px
    assert metrics.oks(one_sigma, truth, np.array([1, 0]), area_px=100.0, sigmas=sigmas) == pytest.approx(
        np.exp(-0.5)
    )
    assert np.isnan(metrics.oks(truth, truth, np.array([0, 0]), area_px=100.0, sigmas=sigmas))


def test_average_precision_walks_down_the_scores():
    # Right, wrong, right of two: 1/1 * 1/2 + 2/3 * 1/2.
    assert metrics.average_precision(
        np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), 2
    ) == pytest.approx(100 * (0.5 + 1 / 3))
    assert metrics.average_precision(
        np.array([0.7, 0.9, 0.8]), np.array([True, True, False]), 2
    ) == pytest.approx(100 * (0.5 + 1 / 3))
    assert metrics.average_precision(np.zeros(0), np.zeros(0, bool), 2) == 0
    assert np.isnan(metrics.average_precision(np.zeros(0), np.zeros(0, bool), 0))


def test_a_root_counts_once_and_only_for_its_nearest_prediction_of_the_best_score():
    truth = np.array([[0.0, 0, 3000], [200, 0, 3000]])
    roots = np.array([[10.0, 0, 3000], [20, 0, 3000], [0, 0, 3300]])
    hits = metrics.root_hits(np.array([0.5, 0.9, 0.8]), roots, truth)
    # The second person is within 250 mm of the first prediction, but the first person is nearer, and taken.
    assert hits.tolist() == [False, True, False]
    assert metrics.root_hits(np.array([0.5]), roots[:1], np.zeros((0, 3))).tolist() == [False]


def test_recall_and_precision_without_people_are_nan():
    assert metrics.recall(1, 4) == 0.25
    assert metrics.precision(3, 4) == 0.75
    assert np.isnan(metrics.recall(0, 0))
    assert np.isnan(metrics.precision(0, 0))
