from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from captured import captured_poses, write_mocap

from toolkit.errors import PosecError
from toolkit.network.embedding import PoseEmbedding
from toolkit.network.torch_kinematics import bone_lengths_m, rotation_from_6d, rotation_to_6d
from toolkit.training.labels.lifter import (
    LIFTER_JOINTS,
    POINTS,
    Lifted,
    Lifter,
    load_lifter,
    normalize_points,
    pose,
)
from toolkit.training.labels.projections import (
    KEYPOINT,
    ViewSettings,
    random_bone_lengths_m,
    random_rotations,
    random_views,
)
from toolkit.training.labels.train_lifter import LifterTraining, train_lifter
from toolkit.training.run.runs import save_weights

pytestmark = pytest.mark.torch
PERFECT = ViewSettings(
    jitter=0, outlier=0, dropped=0, cut=(0, 0, 0), hidden_arm=0, hidden_face=0, exchanged=0
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_points_fill_the_unit_box_and_invisible_ones_are_ignored() -> None:
    points = torch.rand(4, POINTS, 2, generator=seeded()) * 300 + 50
    visible = torch.ones(4, POINTS)
    visible[:, 3] = 0
    moved = points.clone()
    moved[:, 3] = 1e6
    first, second = normalize_points(points, visible), normalize_points(moved, visible)
    assert torch.equal(first.inputs, second.inputs)
    xy = first.inputs.unflatten(1, (POINTS, 3))[..., :2]
    torch.testing.assert_close(xy.abs().amax((1, 2)), torch.ones(4))
    back = xy * first.half[:, None, None] + first.centre[:, None]
    torch.testing.assert_close(back[visible > 0], points[visible > 0], atol=1e-3, rtol=0)


def test_people_without_visible_points_give_finite_inputs() -> None:
    unit = normalize_points(torch.rand(2, POINTS, 2, generator=seeded()), torch.zeros(2, POINTS))
    assert torch.isfinite(unit.inputs).all()
    assert unit.half.tolist() == [1.0, 1.0]


def test_a_lifted_pose_projects_with_its_scale_and_pelvis() -> None:
    torch.manual_seed(0)
    embedding, turned = PoseEmbedding(), rotation_from_6d(torch.randn(3, 6))
    lifted = Lifted(
        torch.rand(3, 32), rotation_to_6d(turned), torch.tensor([0.0, 1.0, -1.0]), torch.randn(3, 2)
    )
    found = pose(embedding, lifted)
    assert torch.equal(found.joints_m[:, 14], torch.zeros(3, 3))
    torch.testing.assert_close(found.points[:, 14], lifted.pelvis)
    torch.testing.assert_close(found.rotation, turned, atol=1e-5, rtol=0)
    neck = found.joints_m[:, 1, :2] * lifted.log_scale.exp()[:, None] + lifted.pelvis
    torch.testing.assert_close(found.points[:, 1], neck)


def test_without_errors_the_points_are_the_true_ones() -> None:
    views = random_views(torch.from_numpy(captured_poses(50)), seeded(), PERFECT)
    assert torch.equal(views.points, views.true_points[:, LIFTER_JOINTS])
    assert views.visible.min() == 1
    torch.testing.assert_close(torch.linalg.det(views.rotation), torch.ones(50), atol=1e-4, rtol=0)


def test_people_face_the_camera_upright_with_their_left_on_the_right_of_the_picture() -> None:
    upright = ViewSettings(facing=1, facing_rad=0, pitch_rad=0, roll_rad=0, tumbled=0)
    views = random_views(torch.from_numpy(captured_poses(50)), seeded(), upright)
    x, y, z = views.rotation[0].unbind(1)
    torch.testing.assert_close(
        torch.stack([x, y, z]), torch.diag(torch.tensor([1.0, -1.0, -1.0])), atol=1e-6, rtol=0
    )
    assert (views.true_points[:, 5, 0] > views.true_points[:, 2, 0]).all()  # left shoulder, right shoulder
    assert (views.true_points[:, 0, 1] < views.true_points[:, 10, 1]).all()  # head top, right ankle


def test_yaw_is_uniform() -> None:
    fronts = random_rotations(2000, seeded(), ViewSettings(facing=0))[:, :, 2]
    assert abs(fronts[:, 0].mean()) < 0.1
    assert abs(fronts[:, 2].mean()) < 0.1


def test_errors_have_the_configured_frequency() -> None:
    poses = torch.from_numpy(captured_poses(3000))
    cut = random_views(poses, seeded(), ViewSettings(dropped=0, cut=(1, 0, 0), hidden_arm=0, hidden_face=0))
    assert cut.visible[:, [KEYPOINT["left_knee"], KEYPOINT["right_ankle"]]].max() == 0
    assert cut.visible[:, [KEYPOINT["left_hip"], KEYPOINT["head"]]].min() == 1
    hidden = random_views(
        poses, seeded(), ViewSettings(dropped=0, cut=(0, 0, 0), hidden_arm=0.5, hidden_face=0.25)
    )
    assert abs(hidden.visible[:, KEYPOINT["left_wrist"]].mean() - 0.5) < 0.05
    assert abs(hidden.visible[:, KEYPOINT["head"]].mean() - 0.75) < 0.05
    exchanged = random_views(poses, seeded(), ViewSettings(jitter=0, outlier=0, exchanged=1))
    moved = (exchanged.points - exchanged.true_points[:, LIFTER_JOINTS]).norm(dim=-1) > 1e-6
    assert (moved.sum(1) == 2).float().mean() > 0.99
    torch.testing.assert_close(
        exchanged.points.sum(1), exchanged.true_points[:, LIFTER_JOINTS].sum(1), atol=1e-5, rtol=0
    )
    assert random_views(poses, seeded(), ViewSettings(dropped=1)).visible.sum(1).min() >= 4


def test_random_bodies_differ_and_are_symmetric() -> None:
    lengths = random_bone_lengths_m(500, seeded())
    torch.testing.assert_close(lengths[:, 5], lengths[:, 8])  # elbows
    torch.testing.assert_close(lengths.mean(0), bone_lengths_m(), atol=0.01, rtol=0.05)
    assert (lengths.std(0) > 0.003).all()


def test_training_reduces_the_error_of_the_lifter(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_weights(tmp_path / "embedding.safetensors", PoseEmbedding())
    config = LifterTraining(steps=60, batch=64, report_every=30, test_people=100)
    mocap = write_mocap(tmp_path / "mocap")
    figures = train_lifter(
        config, mocap, tmp_path / "embedding.safetensors", out=tmp_path / "lifter.safetensors"
    )
    lines = [json.loads(line) for line in (tmp_path / "lifter.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [30, 60]
    assert figures["val_mpjpe_mm"] < lines[0]["val_mpjpe_mm"]
    assert 0 < figures["test_pa_mpjpe_mm"] < figures["test_mpjpe_mm"]
    lifted = load_lifter(tmp_path / "lifter.safetensors")(torch.zeros(0, 3 * POINTS))
    assert lifted.embedding.shape == (0, 32)


def test_the_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "embedding.safetensors", PoseEmbedding())
    with pytest.raises(PosecError, match="not a lifter"):
        load_lifter(tmp_path / "embedding.safetensors")


def test_a_lifter_of_another_size_is_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "wide.safetensors", Lifter(width=64))
    with pytest.raises(PosecError, match="wide"):
        load_lifter(tmp_path / "wide.safetensors")
    assert np.isfinite(Lifter()(torch.zeros(1, 3 * POINTS)).pelvis.detach().numpy()).all()
