from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from captured import captured_poses

from toolkit.network.embedding import PoseEmbedding
from toolkit.network.heads import reference_spec
from toolkit.network.keypoints import JOINTS, MIRROR
from toolkit.runtime.pose import MUPOTS17
from toolkit.training.learning.skeleton_scenes import Scenes, SceneSettings, draw_scenes
from toolkit.training.pictures.dataset import IGNORED, NO_PERSON, PERSON
from toolkit.training.pictures.people import KEYPOINT_JOINTS

pytestmark = pytest.mark.torch
SIZE = reference_spec().input_size
NOSE, LEFT_SHOULDER = 0, 5


def scenes(count: int = 16, seed: int = 0, settings: SceneSettings | None = None) -> Scenes:
    poses = torch.from_numpy(captured_poses(40))
    generator = torch.Generator().manual_seed(seed)
    return draw_scenes(
        poses,
        count,
        SIZE,
        encode=PoseEmbedding().encode,
        generator=generator,
        settings=settings or SceneSettings(),
    )


def test_points_outside_the_frame_are_not_visible() -> None:
    made = scenes(64)
    outside = ~(
        (made.points_px > made.frame[:, None, None, :2]) & (made.points_px < made.frame[:, None, None, 2:])
    ).all(-1)
    assert outside[made.present].any()
    assert not made.visible[outside].any()
    assert not made.visible[~made.present].any()


def test_labels_agree_with_the_points() -> None:
    """The reference skeleton, placed by its label, is close to key points of a body of other proportions."""
    labels = scenes(64).labels
    person = labels["status"] == PERSON
    assert set(labels["status"].unique().tolist()) <= {NO_PERSON, PERSON, IGNORED}
    joints = labels["joints_m"][person]
    middle = (joints[:, MUPOTS17.index("neck")] + joints[:, MUPOTS17.index("pelvis")]) / 2
    px_per_m = labels["px_per_m"][person]
    projected = (
        labels["centres_px"][person][:, None]
        + px_per_m[:, None, None] * (joints - middle[:, None])[:, KEYPOINT_JOINTS, :2]
    )
    error_m = (projected - labels["keypoints_px"][person]).norm(dim=-1) / px_per_m[:, None]
    assert error_m.median() < 0.08
    assert int(person.sum()) > 60


def test_noses_are_visible_when_they_face_the_camera() -> None:
    upright = replace(SceneSettings().viewing, facing=0.0, tumbled=0.0, pitch_rad=0.01, roll_rad=0.01)
    made = scenes(
        80,
        settings=replace(
            SceneSettings(),
            people=(0.0, 1.0),
            framed=0.0,
            blocked=0.0,
            close_up=0.0,
            stature_px=(80.0, 81.0),
            head_turn_rad=0.0,
            viewing=upright,
        ),
    )
    front = made.labels["rotation"][:, 0, 2, 2]  # away from the camera
    shown = (made.visible[:, 0, LEFT_SHOULDER] > 0) & (
        (made.points_px[:, 0, NOSE] > made.frame[:, :2]).all(-1)
    )
    nose = made.visible[:, 0, NOSE]
    assert nose[shown & (front < -0.4)].min() == 1
    assert nose[shown & (front > 0.4)].max() == 0
    left_ear, right_ear = made.points_px[:, 0, 3], made.points_px[:, 0, 4]
    assert (left_ear[:, 0] > right_ear[:, 0])[front < -0.4].all()


def test_mirror_swaps_left_and_right_only() -> None:
    assert MIRROR[0] == 0
    assert MIRROR[1:5] == [2, 1, 4, 3]
    assert [MIRROR[joint] for joint in MIRROR] == list(range(JOINTS))


def test_equal_seeds_give_equal_scenes() -> None:
    torch.manual_seed(1)
    model = PoseEmbedding()
    poses = torch.from_numpy(captured_poses(10))
    first, second = (
        draw_scenes(
            poses,
            4,
            SIZE,
            encode=model.encode,
            generator=torch.Generator().manual_seed(5),
            settings=SceneSettings(),
        )
        for _ in range(2)
    )
    assert torch.equal(first.points_px, second.points_px)
    assert all(torch.equal(first.labels[name], second.labels[name]) for name in first.labels)
