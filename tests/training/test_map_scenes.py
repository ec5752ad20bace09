from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from captured import captured_poses

from toolkit.errors import PosecError
from toolkit.network.embedding import PoseEmbedding
from toolkit.network.maps import DISPLACEMENT_PX, JOINTS, LIMBS, MAPS, OFFSET_PX
from toolkit.network.pose_network import reference_spec
from toolkit.runtime.pose import MUPOTS17
from toolkit.training.cache_maps import LABELS_FILE, MAPS_FILE, MapCache
from toolkit.training.dataset import IGNORED, NOBODY, PERSON
from toolkit.training.map_rendering import MIRROR, ReadingFaults, draw_maps, render_maps
from toolkit.training.map_scenes import Scenes, SceneSettings, draw_scenes
from toolkit.training.people import KEYPOINT_JOINTS

pytestmark = pytest.mark.torch
SIZE = reference_spec().input_size
NOSE, LEFT_SHOULDER, LEFT_ELBOW = 0, 5, 7


def scenes(count: int = 16, seed: int = 0, how: SceneSettings | None = None) -> Scenes:
    poses = torch.from_numpy(captured_poses(40))
    generator = torch.Generator().manual_seed(seed)
    return draw_scenes(poses, count, SIZE, PoseEmbedding().encode, generator, how or SceneSettings())


def alone(stature_px: float = 200.0, seed: int = 0) -> Scenes:
    """One person in each scene, who faces the camera, of about this stature."""
    plain = SceneSettings()
    viewing = replace(plain.viewing, facing=1.0, facing_rad=0.1, tumbled=0.0)
    return scenes(12, seed, replace(plain, people=(0.0, 1.0), stature_px=(stature_px, stature_px * 1.001), spread=0.01, close_up=0.0,
                                    framed=0.0, blocked=0.0, viewing=viewing, head_turn_rad=0.0))  # fmt: skip


def test_maps_of_a_person_lead_back_to_its_joints() -> None:
    """Read as PoseNet is read: the hottest cell of a joint and its offset, then the displacement to the next joint."""
    made = alone()
    maps = draw_maps(made.points_px, made.visible, SIZE)
    assert maps.shape == (12, MAPS, SIZE[0] // 16, SIZE[1] // 16)
    limb = LIMBS.index((LEFT_SHOULDER, LEFT_ELBOW))
    checked = 0
    for scene, found in enumerate(maps):
        if not made.visible[scene, 0, [LEFT_SHOULDER, LEFT_ELBOW]].all():
            continue
        row, column = divmod(int(found[LEFT_SHOULDER].argmax()), found.shape[2])
        heat = found[LEFT_SHOULDER, row, column]
        fields = found[JOINTS:, row, column] / heat
        cell = torch.tensor([column * 16.0, row * 16.0])
        shoulder = cell + fields[[JOINTS + LEFT_SHOULDER, LEFT_SHOULDER]] * OFFSET_PX
        torch.testing.assert_close(shoulder, made.points_px[scene, 0, LEFT_SHOULDER], atol=1e-2, rtol=0)
        forward = 2 * JOINTS + 2 * len(LIMBS)
        elbow = shoulder + fields[[forward + len(LIMBS) + limb, forward + limb]] * DISPLACEMENT_PX
        torch.testing.assert_close(elbow, made.points_px[scene, 0, LEFT_ELBOW], atol=1e-2, rtol=0)
        checked += 1
    assert checked >= 6


def test_fields_vanish_away_from_joints() -> None:
    made = alone(80.0)
    maps = draw_maps(made.points_px, made.visible, SIZE)
    cells = torch.stack(torch.meshgrid(torch.arange(16.0) * 16, torch.arange(28.0) * 16, indexing="ij")[::-1], -1)
    apart = (cells[None, None] - made.points_px[:, 0, :, None, None]).norm(dim=-1).amin(1)
    assert maps.abs().amax(1)[apart > 90].max() < 1e-3
    assert maps[:, :JOINTS].amax() > 0.9


def test_joints_outside_the_frame_leave_no_trace() -> None:
    made = scenes(64)
    outside = ~((made.points_px > made.frame[:, None, None, :2]) & (made.points_px < made.frame[:, None, None, 2:])).all(-1)
    assert outside[made.there].any()
    assert not made.visible[outside].any()
    assert not made.visible[~made.there].any()


def test_labels_agree_with_the_points() -> None:
    """The reference skeleton, placed by its label, comes close to the key points of a body of other proportions."""
    labels = scenes(64).labels
    person = labels["status"] == PERSON
    assert set(labels["status"].unique().tolist()) <= {NOBODY, PERSON, IGNORED}
    joints = labels["joints_m"][person]
    middle = (joints[:, MUPOTS17.index("neck")] + joints[:, MUPOTS17.index("pelvis")]) / 2
    px_per_m = labels["px_per_m"][person]
    projected = labels["centres_px"][person][:, None] + px_per_m[:, None, None] * (joints - middle[:, None])[:, KEYPOINT_JOINTS, :2]
    error_m = (projected - labels["keypoints_px"][person]).norm(dim=-1) / px_per_m[:, None]
    assert error_m.median() < 0.08
    assert int(person.sum()) > 60


def test_noses_show_when_they_point_at_the_camera() -> None:
    upright = replace(SceneSettings().viewing, facing=0.0, tumbled=0.0, pitch_rad=0.01, roll_rad=0.01)
    made = scenes(80, how=replace(SceneSettings(), people=(0.0, 1.0), framed=0.0, blocked=0.0, close_up=0.0, stature_px=(80.0, 81.0),
                                  head_turn_rad=0.0, viewing=upright))  # fmt: skip
    front = made.labels["rotation"][:, 0, 2, 2]  # away from the camera
    shown = (made.visible[:, 0, LEFT_SHOULDER] > 0) & ((made.points_px[:, 0, NOSE] > made.frame[:, :2]).all(-1))
    nose = made.visible[:, 0, NOSE]
    assert nose[shown & (front < -0.4)].min() == 1
    assert nose[shown & (front > 0.4)].max() == 0
    left_ear, right_ear = made.points_px[:, 0, 3], made.points_px[:, 0, 4]
    assert (left_ear[:, 0] > right_ear[:, 0])[front < -0.4].all()


def test_small_people_are_missed() -> None:
    generator = torch.Generator().manual_seed(0)
    heats = [render_maps(alone(size), SIZE, generator, ReadingFaults(invented=0.0))[:, :JOINTS].amax((2, 3)) for size in (45.0, 200.0)]
    assert heats[0].mean() < 0.2 < 0.6 < heats[1].mean()


def test_mirror_exchanges_sides_alone() -> None:
    assert MIRROR[0] == 0
    assert MIRROR[1:5] == [2, 1, 4, 3]
    assert [MIRROR[joint] for joint in MIRROR] == list(range(JOINTS))


def test_scenes_depend_on_the_generator_alone() -> None:
    torch.manual_seed(1)
    model = PoseEmbedding()
    poses = torch.from_numpy(captured_poses(10))
    first, second = (draw_scenes(poses, 4, SIZE, model.encode, torch.Generator().manual_seed(5), SceneSettings()) for _ in range(2))
    assert torch.equal(first.points_px, second.points_px)
    assert all(torch.equal(first.labels[name], second.labels[name]) for name in first.labels)


def test_a_cache_is_drawn_from_with_its_labels(tmp_path: Path) -> None:
    with pytest.raises(PosecError, match="no cached maps"):
        MapCache(tmp_path)
    numbers = np.arange(6, dtype=np.float16)
    np.save(tmp_path / MAPS_FILE, np.broadcast_to(numbers[:, None, None, None], (6, MAPS, 2, 3)))
    np.savez(tmp_path / LABELS_FILE, px_per_m=numbers[:4].astype(np.float32))
    maps, labels = MapCache(tmp_path).draw(20, torch.Generator().manual_seed(0))
    assert torch.equal(maps[:, 5, 1, 2], labels["px_per_m"])
    assert set(labels["px_per_m"].tolist()) == {0.0, 1.0, 2.0, 3.0}
    np.save(tmp_path / MAPS_FILE, np.zeros((6, 5, 2, 3), np.float16))
    with pytest.raises(PosecError, match=f"needed: \\(N, {MAPS}, h, w\\)"):
        MapCache(tmp_path)
