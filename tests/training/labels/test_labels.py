from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from captured import captured_poses

from toolkit.errors import PosecError
from toolkit.network.embedding import PoseEmbedding
from toolkit.network.torch_kinematics import (
    bone_lengths_m,
    forward_kinematics,
    mirror_directions,
    rotation_from_6d,
)
from toolkit.training.labels.fit_keypoints import FitSettings
from toolkit.training.labels.label_files import pictures_with_people, write_labels
from toolkit.training.labels.label_people import LabelNetworks, write_body_labels, write_photo_labels
from toolkit.training.labels.labels import label_bodies, label_photos
from toolkit.training.labels.lifter import Lifter
from toolkit.training.pictures.people import KEYPOINT_JOINTS, read_people
from toolkit.training.run.runs import save_weights

pytestmark = pytest.mark.torch
PX_PER_M = 90.0
QUICK = FitSettings(steps=40, batch=4)


@pytest.fixture(scope="module")
def networks() -> tuple[PoseEmbedding, Lifter]:
    torch.manual_seed(0)
    return PoseEmbedding().eval().requires_grad_(False), Lifter().eval().requires_grad_(False)


def people_m(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Joints (N, 17, 3) in the viewing ray's frame and torso rotations (N, 3, 3)."""
    turned = rotation_from_6d(torch.randn(count, 6, generator=torch.Generator().manual_seed(0)))
    joints = forward_kinematics(torch.from_numpy(captured_poses(count)), bone_lengths_m()) @ turned.transpose(
        1, 2
    )
    return joints.numpy(), turned.numpy()


def write_teacher(path: Path, **changes: np.ndarray) -> Path:
    """Four photographs with 2, 0, 1 and 3 people; the last person is mostly hidden."""
    points_px = people_m(6)[0][..., :2] * PX_PER_M + [200, 150]
    keypoints = np.zeros((6, 17, 3), np.float32)
    keypoints[:, 5:, :2] = points_px[:, KEYPOINT_JOINTS]
    keypoints[:, :5, :2] = points_px[:, 16:17]
    keypoints[..., 2] = 0.9
    keypoints[5, 6:, 2] = 0.1
    arrays = {
        "names": np.array(["a.jpg", "b.jpg", "c.jpg", "d.jpg"]),
        "ptr": np.array([0, 2, 2, 3, 6], np.int32),
        "boxes": np.tile(np.array([100, 50, 300, 250, 0.8], np.float32), (6, 1)),
        "kpts": keypoints,
    }
    np.savez(path, **{**arrays, **changes})
    return path


def test_the_fit_reduces_the_residual(tmp_path: Path, networks: tuple[PoseEmbedding, Lifter]) -> None:
    labels = label_photos(write_teacher(tmp_path / "teacher.npz"), *networks, settings=QUICK)
    assert (labels["residual"] < labels["lifted_residual"]).mean() > 0.8
    per_person = {"embedding": (32,), "embedding_mirrored": (32,), "rotation": (3, 3), "px_per_m": ()}
    per_person |= {"pelvis_px": (2,), "joints_m": (17, 3), "keypoints_px": (12, 2), "seen": (12,)}
    per_person |= {"residual": (), "usable": (), "boxes": (4,)}
    assert {name: labels[name].shape[1:] for name in per_person} == per_person
    assert {len(labels[name]) for name in per_person} == {6}
    assert labels["seen"][5].tolist() == [1] + [0] * 11
    projected = (
        labels["pelvis_px"][:, None]
        + labels["px_per_m"][:, None, None] * labels["joints_m"][:, KEYPOINT_JOINTS, :2]
    )
    half = np.ptp(labels["keypoints_px"][:5], axis=1).max(1) / 2
    misfit = np.linalg.norm(projected - labels["keypoints_px"], axis=-1)[:5].mean(1) / half
    np.testing.assert_allclose(misfit, labels["residual"][:5], atol=0.1)
    decoded = networks[0].decode(torch.from_numpy(labels["embedding"]))
    mirrored = networks[0].encode(mirror_directions(decoded))
    np.testing.assert_allclose(mirrored.numpy(), labels["embedding_mirrored"], atol=1e-5)


def test_people_who_are_mostly_hidden_or_in_untrusted_pictures_are_not_usable(
    tmp_path: Path, networks: tuple[PoseEmbedding, Lifter]
) -> None:
    teacher, lenient = (
        write_teacher(tmp_path / "teacher.npz"),
        FitSettings(steps=1, max_residual=1e9, min_torso_points=2),
    )
    assert label_photos(teacher, *networks, settings=lenient)["usable"].tolist() == [True] * 5 + [False]
    assert (
        label_photos(teacher, *networks, settings=lenient, trusted={"a.jpg"})["usable"].tolist()
        == [True] * 2 + [False] * 4
    )
    assert not label_photos(teacher, *networks, settings=FitSettings(steps=1, max_residual=0))["usable"].any()


def test_photographs_without_people_give_empty_labels(
    tmp_path: Path, networks: tuple[PoseEmbedding, Lifter]
) -> None:
    empty = {"ptr": np.zeros(5, int), "boxes": np.zeros((0, 5)), "kpts": np.zeros((0, 17, 3))}
    labels = label_photos(write_teacher(tmp_path / "teacher.npz", **empty), *networks, settings=QUICK)
    assert labels["embedding"].shape == (0, 32)
    write_labels(tmp_path / "labels.npz", labels)
    assert [len(people) for people in read_people(tmp_path / "labels.npz").values()] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ptr": np.array([0, 2, 2, 3, 7])}, "ptr"),
        ({"ptr": np.array([0, 3, 2, 3, 6])}, "ptr"),
        ({"boxes": np.zeros((5, 5))}, "boxes"),
        ({"kpts": np.full((6, 17, 3), np.inf)}, "finite"),
        ({"kpts": np.zeros((6, 12, 3))}, "kpts"),
    ],
)
def test_inconsistent_teacher_files_are_refused(
    tmp_path: Path, networks: tuple[PoseEmbedding, Lifter], changes: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(PosecError, match=message):
        label_photos(write_teacher(tmp_path / "teacher.npz", **changes), *networks, settings=QUICK)


def write_bodies(path: Path, size: float = 1.0, **changes: np.ndarray) -> Path:
    joints_m = people_m(4)[0] * size
    arrays = {
        "names": np.array([f"{index}.png" for index in range(4)]),
        "joints_m": joints_m,
        "pelvis_px": np.tile([64.0, 80.0], (4, 1)),
        "px_per_m": np.full(4, PX_PER_M),
        "keypoints_px": joints_m[:, KEYPOINT_JOINTS, :2] * PX_PER_M + [64, 80],
    }
    np.savez(path, **{**arrays, **changes})
    return path


def test_bodies_get_exact_labels_at_the_reference_size(
    tmp_path: Path, networks: tuple[PoseEmbedding, Lifter]
) -> None:
    labels = label_bodies(write_bodies(tmp_path / "bodies.npz", size=1.1), networks[0])
    joints_m, turned = people_m(4)
    np.testing.assert_allclose(labels["rotation"], turned, atol=1e-5)
    np.testing.assert_allclose(labels["joints_m"], joints_m, atol=1e-5)
    np.testing.assert_allclose(labels["px_per_m"], 1.1 * PX_PER_M, rtol=1e-5)
    np.testing.assert_allclose(labels["residual"], 0, atol=1e-4)
    expected = networks[0].encode(torch.from_numpy(captured_poses(4)))
    np.testing.assert_allclose(labels["embedding"], expected.numpy(), atol=1e-4)
    write_labels(tmp_path / "labels.npz", labels)
    people = read_people(tmp_path / "labels.npz", exact=True)
    assert list(people) == ["0.png", "1.png", "2.png", "3.png"]
    np.testing.assert_allclose(people["2.png"].boxes[0, :2], people["2.png"].keypoints_px[0].min(0))


def test_body_files_with_missing_or_misshapen_arrays_are_refused(
    tmp_path: Path, networks: tuple[PoseEmbedding, Lifter]
) -> None:
    with pytest.raises(PosecError, match="px_per_m"):
        label_bodies(write_bodies(tmp_path / "bodies.npz", px_per_m=np.ones(3)), networks[0])
    np.savez(tmp_path / "few.npz", names=np.array(["a.png"]))
    with pytest.raises(PosecError, match="lacks joints_m"):
        label_bodies(tmp_path / "few.npz", networks[0])


def test_only_pictures_with_a_positive_count_show_people(tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("file,annotated_persons\na.jpg,2\nb.jpg,0\nc.jpg,\n")
    assert pictures_with_people(tmp_path / "index.csv") == {"a.jpg"}


def test_label_files_are_written_from_stored_networks(
    tmp_path: Path, networks: tuple[PoseEmbedding, Lifter]
) -> None:
    for name, network in zip(("embedding", "lifter"), networks, strict=True):
        save_weights(tmp_path / f"{name}.safetensors", network)
    stored = LabelNetworks(tmp_path / "embedding.safetensors", tmp_path / "lifter.safetensors")
    (tmp_path / "index.csv").write_text("file,annotated_persons\na.jpg,2\n")
    teacher = write_teacher(tmp_path / "teacher.npz")
    figures = write_photo_labels(
        teacher,
        stored,
        tmp_path / "photos.npz",
        index_path=tmp_path / "index.csv",
        settings=FitSettings(steps=40, max_residual=9),
    )
    assert (figures.people, figures.usable) == (6, 2)
    assert figures.residual is not None
    assert figures.lifted_residual is not None
    assert figures.residual < figures.lifted_residual
    assert [len(people) for people in read_people(tmp_path / "photos.npz").values()] == [2, 0, 1, 3]
    bodies = write_bodies(tmp_path / "bodies.npz")
    figures = write_body_labels(bodies, LabelNetworks(stored.embedding), tmp_path / "labels.npz")
    assert (figures.people, figures.usable) == (4, 4)
    assert figures.residual is not None
    assert figures.residual < 1e-4
    with pytest.raises(PosecError, match="need a lifter; give --lifter"):
        write_photo_labels(teacher, LabelNetworks(stored.embedding), tmp_path / "photos.npz")
