"""The body model itself; needs the package anny and the cache of its first construction (0.8 GB)."""

import numpy as np
import pytest

from toolkit.runtime.pose import MUPOTS17
from toolkit.training.motion.retarget import turns_of
from toolkit.training.motion.turns import about, joint_index, turn_to
from toolkit.training.render.render_bodies import (
    COCO_BODY,
    PER_SHAPE,
    cut_out,
    labels_of,
    merge,
    soft_edge,
    write_labels,
)


def test_coco_order_is_left_then_right_from_the_shoulders_down():
    assert COCO_BODY == (5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)


def test_soft_edges_extend_colour_beyond_the_outline():
    picture = np.zeros((20, 20, 4), np.float32)
    picture[5:15, 5:15] = (200, 100, 50, 1)
    softened = soft_edge(picture)
    assert softened.dtype == np.uint8
    np.testing.assert_allclose(softened[4, 10, :3], (200, 100, 50), atol=1)
    assert softened[10, 10, 3] == 255
    assert softened[0, 0, 3] == 0


def test_shards_merge_in_order(tmp_path):
    for shard in (1, 0):
        write_labels(
            tmp_path / f"shard_{shard:03d}.npz",
            {"names": np.array([f"{shard}.png"]), "px_per_m": np.array([10.0 * shard])},
        )
    assert merge(tmp_path) == 2
    with np.load(tmp_path / "bodies.npz", allow_pickle=False) as labels:
        assert labels["names"].tolist() == ["0.png", "1.png"]
        assert labels["px_per_m"].tolist() == [0.0, 10.0]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bodies.npz",
        "shard_000.npz",
        "shard_001.npz",
    ]


@pytest.fixture(scope="module")
def model():
    paths = pytest.importorskip("anny.paths", reason="needs the body model: pip install 'posec[train]'")
    cache = paths.get_anny_cache_path()
    if not cache.is_dir() or not any(cache.rglob("*")):
        pytest.skip(f"the body model has no cache in '{cache}' yet; construct it once")
    from toolkit.training.render.bodies import BodyModel

    return BodyModel()


def test_limbs_point_along_the_clips_and_joints_lie_in_the_body(model, standing_clips):
    turns = turns_of(standing_clips, np.array([0]))
    turn_to(standing_clips, turns[0], joint_index(standing_clips, "UpLeg", "Left"), target=about("x", -50))
    (body,) = model.pose(model.random_shape(np.random.default_rng(0)), standing_clips, turns)
    at = {name: body.joints_m[index] for index, name in enumerate(MUPOTS17.names)}
    for start, end, direction in (
        ("right_hip", "right_knee", (0, 1, 0)),
        ("left_hip", "left_knee", (0, np.cos(np.radians(50)), -np.sin(np.radians(50)))),
        ("left_shoulder", "left_elbow", (0, 1, 0)),
        ("left_elbow", "left_wrist", (0, 1, 0)),
    ):
        limb = at[end] - at[start]
        np.testing.assert_allclose(limb / np.linalg.norm(limb), direction, atol=1e-3)
    # The body faces the viewer: its left is on the right of the picture.
    assert at["left_shoulder"][0] > 0.1
    assert 1.4 < body.vertices_m[:, 1].max() - body.vertices_m[:, 1].min() < 2.1
    for place in at.values():
        assert np.linalg.norm(body.vertices_m - place, axis=1).min() < 0.12


def test_cut_outs_contain_their_labelled_joints(model, standing_clips):
    rng = np.random.default_rng(3)
    (body,) = model.pose(model.random_shape(rng), standing_clips, turns_of(standing_clips, np.array([0])))
    found = [cut_out(model, body, rng) for _ in range(PER_SHAPE)]
    labels = labels_of([str(index) for index in range(PER_SHAPE)], found)
    for one in found:
        alpha = one.picture[..., 3]
        rows, columns = np.nonzero(alpha > 127)
        extent = max(np.ptp(rows), np.ptp(columns)) + 1
        assert 0.85 * 288 < extent < 0.96 * 288
        inside = alpha[tuple(np.rint(one.keypoints_px[:, ::-1]).astype(int).T)] > 127
        assert inside.mean() > 0.9
        # The scale at the pelvis: hips lie near its depth.
        hips = np.linalg.norm(one.keypoints_px[6] - one.keypoints_px[7])
        across = np.linalg.norm((one.joints_m[11] - one.joints_m[8])[:2]) * one.px_per_m
        assert hips == pytest.approx(across, rel=0.1, abs=1.5)
    assert labels["joints_m"].shape == (PER_SHAPE, 17, 3)
    np.testing.assert_allclose(labels["joints_m"][:, MUPOTS17.root], 0, atol=1e-6)
