from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from labelled_people import HEIGHT, WIDTH, people_in_a_portrait
from photo_material import Material, marked, spot_px

from toolkit.errors import PosecError
from toolkit.network.embedding import PoseEmbedding
from toolkit.runtime.pose import MUPOTS17
from toolkit.training.pictures.people import KEYPOINT_JOINTS, People, read_people
from toolkit.training.pictures.pictures import similarity, warp

pytestmark = pytest.mark.torch


@pytest.mark.parametrize(("scale", "angle"), [(1.0, 0.0), (1.7, 0.4), (0.45, -0.3), (0.3, 1.5)])
def test_labels_follow_any_similarity(
    embedding: tuple[Path, PoseEmbedding], scale: float, angle: float
) -> None:
    person = people_in_a_portrait(embedding[1])
    matrix = similarity((60, 80), (160, 150), scale, angle=angle)
    moved = person.moved(matrix)
    np.testing.assert_allclose(
        spot_px(warp(marked(person), matrix, (300, 320))), moved.keypoints_px[0, 4], atol=0.12
    )
    projected = (
        moved.pelvis_px[:, None] + moved.px_per_m[:, None, None] * moved.joints_m[:, KEYPOINT_JOINTS, :2]
    )
    np.testing.assert_allclose(projected, moved.keypoints_px, atol=1e-2)
    np.testing.assert_allclose(torso_axes(moved), torso_axes(person) @ turned(angle).T, atol=1e-4)
    np.testing.assert_allclose(moved.rotation, turned(angle) @ person.rotation, atol=1e-5)


def torso_axes(people: People) -> np.ndarray:
    """Pelvis to neck, in metres."""
    return people.joints_m[:, MUPOTS17.index("neck")]


def turned(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])


def test_labels_follow_a_horizontal_flip(embedding: tuple[Path, PoseEmbedding]) -> None:
    person = people_in_a_portrait(embedding[1])
    mirrored = person.mirrored(WIDTH)
    right_wrist = 5
    np.testing.assert_allclose(
        spot_px(marked(person)[:, ::-1]), mirrored.keypoints_px[0, right_wrist], atol=0.05
    )
    np.testing.assert_allclose(
        mirrored.joints_m[0, MUPOTS17.index("right_wrist")], person.joints_m[0, 7] * (-1, 1, 1), atol=1e-6
    )
    assert np.linalg.det(mirrored.rotation[0]) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(mirrored.rotation[0, :, 1], person.rotation[0, :, 1] * (-1, 1, 1), atol=1e-6)
    for field in fields(People):
        np.testing.assert_allclose(
            getattr(mirrored.mirrored(WIDTH), field.name),
            getattr(person, field.name),
            atol=1e-4,
            err_msg=field.name,
        )


def test_clipping_drops_centres_outside_and_hides_joints(embedding: tuple[Path, PoseEmbedding]) -> None:
    person = people_in_a_portrait(embedding[1])
    x, y = np.round(person.centres_px[0]).astype(int)
    assert len(person.clipped((0, 0, int(x) - 2, HEIGHT))) == 0
    half = person.clipped((0, 0, WIDTH, int(y) + 2))
    assert len(half) == 1
    np.testing.assert_array_equal(half.visible[0] > 0, person.keypoints_px[0, :, 1] < y + 1.5)


def test_inconsistent_label_files_are_refused(tmp_path: Path, material: Material) -> None:
    with np.load(material.labels / "labels_ccp.npz") as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "short.npz", **{**arrays, "px_per_m": arrays["px_per_m"][:1]})
    with pytest.raises(PosecError, match="contradict themselves"):
        read_people(tmp_path / "short.npz")
    del arrays["usable"]
    np.savez(tmp_path / "less.npz", **arrays)
    with pytest.raises(PosecError, match="lack usable"):
        read_people(tmp_path / "less.npz")
