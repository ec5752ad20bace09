"""Labels that humans made: 2D key points in the teacher's place (W), and 3D joints that need no fit (F)."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from toolkit.cli import main as posec
from toolkit.errors import PosecError
from toolkit.evaluation.photos import read_photos
from toolkit.evaluation.scenes import LEAST_VISIBLE, read_scenes
from toolkit.network.embedding import PoseEmbedding
from toolkit.network.torch_kinematics import bone_directions
from toolkit.runtime.decoding.kinematics import ray_rotation
from toolkit.runtime.pose import MUPOTS17
from toolkit.training.labels.annotations import human_keypoints
from toolkit.training.labels.fit_keypoints import FitSettings
from toolkit.training.labels.label_files import read_teacher, write_labels
from toolkit.training.labels.labels import label_photos, label_scenes
from toolkit.training.labels.lifter import Lifter
from toolkit.training.pictures.people import KEYPOINT_JOINTS, read_people
from toolkit.training.pictures.photos import Photos, add_folder
from toolkit.training.run.runs import save_weights

pytestmark = pytest.mark.torch
SAMPLES = Path(__file__).parents[3] / "toolkit/samples/scenes.json"


@pytest.fixture(scope="module")
def networks() -> tuple[PoseEmbedding, Lifter]:
    torch.manual_seed(0)
    return PoseEmbedding().eval().requires_grad_(False), Lifter().eval().requires_grad_(False)


def annotation(
    picture: int, points: list[tuple[float, float, int]], box: tuple[float, ...], crowd: int = 0
) -> dict[str, Any]:
    marked = sum(visible > 0 for _, _, visible in points)
    flat = [number for point in points for number in point] or [0] * 51
    return {
        "image_id": picture,
        "keypoints": flat,
        "num_keypoints": marked,
        "bbox": list(box),
        "area": 100.0,
        "iscrowd": crowd,
    }


def write_coco(path: Path) -> Path:
    """Two pictures: one with a marked person, an unmarked one and a crowd; the other without people."""
    points = [(100.0 + 3 * index, 50.0 + 5 * index, 2 if index != 9 else 0) for index in range(17)]
    points[15] = (*points[15][:2], 1)  # marked, though it cannot be seen
    people = [
        annotation(1, points, (90, 40, 80, 120)),
        annotation(1, [], (200, 60, 40, 100)),
        annotation(1, points, (0, 0, 300, 90), 1),
    ]
    plain = {
        "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}],
        "annotations": people,
    }
    path.write_text(json.dumps(plain))
    return path


def teacher(tmp_path: Path) -> Path:
    """A teacher that found two people in a.jpg, one of them marked by a human, and one person in c.jpg."""
    path = tmp_path / "teacher.npz"
    points, boxes = (
        np.full((3, 17, 3), 0.7, np.float32),
        [[92, 45, 172, 158, 0.9], [300, 40, 340, 130, 0.9], [1, 2, 3, 4, 0.9]],
    )
    np.savez(
        path, names=np.array(["a.jpg", "c.jpg"]), ptr=np.array([0, 2, 3]), boxes=np.array(boxes), kpts=points
    )
    return path


def test_human_key_points_stand_in_the_teachers_place_where_there_are_any(tmp_path: Path) -> None:
    annotated = read_photos(write_coco(tmp_path / "coco.json"), tmp_path).people
    labels = human_keypoints(annotated, read_teacher(teacher(tmp_path)))
    found = dict(zip(labels["names"].tolist(), np.diff(labels["ptr"]).tolist(), strict=True))
    assert found == {"a.jpg": 4, "b.jpg": 0, "c.jpg": 1}
    start = labels["ptr"][labels["names"].tolist().index("a.jpg")]
    marked, unmarked, crowd, bystander = labels["kpts"][start : start + 4]
    assert marked[:, 2].tolist() == [1.0] * 9 + [0.0] + [1.0] * 7
    assert marked[3, :2].tolist() == [109.0, 65.0]
    assert not unmarked.any()
    assert not crowd.any()
    assert not bystander.any()
    assert labels["boxes"][start : start + 2].tolist() == [[90, 40, 170, 160], [200, 60, 240, 160]]
    assert labels["boxes"][start + 3].tolist() == [300, 40, 340, 130]
    assert labels["kpts"][
        labels["ptr"][labels["names"].tolist().index("c.jpg")], 0
    ].tolist() == pytest.approx([0.7] * 3)
    assert human_keypoints(annotated)["names"].tolist() == ["a.jpg", "b.jpg"]


def test_unmarked_people_are_known_by_their_place_alone(
    tmp_path: Path, networks: tuple[PoseEmbedding, Lifter]
) -> None:
    labels = human_keypoints(read_photos(write_coco(tmp_path / "coco.json"), tmp_path).people)
    write_labels(tmp_path / "marked.npz", labels)
    fitted = label_photos(
        tmp_path / "marked.npz", *networks, settings=FitSettings(steps=2, max_residual=99.0)
    )
    assert fitted["usable"].tolist() == [True, False, False]
    np.testing.assert_allclose(fitted["pelvis_px"][1], (220, 110))
    np.testing.assert_allclose(fitted["px_per_m"][1], 100 / 1.7, rtol=1e-6)


def test_the_command_writes_annotations_that_the_next_stage_reads(
    tmp_path: Path, networks: tuple[PoseEmbedding, Lifter], capsys: pytest.CaptureFixture[str]
) -> None:
    coco, out = write_coco(tmp_path / "coco.json"), tmp_path / "marked.npz"
    posec(
        ["train", "annotations", "--coco", str(coco), "--teacher", str(teacher(tmp_path)), "--out", str(out)]
    )
    assert "3 annotated people in 2 pictures, 2 detections of the teacher" in capsys.readouterr().out
    stored = [tmp_path / f"{name}.safetensors" for name in ("embedding", "lifter")]
    for path, network in zip(stored, networks, strict=True):
        save_weights(path, network)
    words = [
        "--teacher",
        out,
        "--embedding",
        stored[0],
        "--lifter",
        stored[1],
        "--out",
        tmp_path / "labels.npz",
    ]
    posec(["train", "labels", *map(str, words)])
    assert {name: len(people) for name, people in read_people(tmp_path / "labels.npz").items()} == {
        "a.jpg": 4,
        "c.jpg": 1,
        "b.jpg": 0,
    }


def test_annotations_that_are_none_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "coco.json").write_text("[]")
    assert (
        posec(
            [
                "train",
                "annotations",
                "--coco",
                str(tmp_path / "coco.json"),
                "--out",
                str(tmp_path / "out.npz"),
            ]
        )
        != 0
    )
    assert "not a COCO key point file" in capsys.readouterr().err
    assert not (tmp_path / "out.npz").exists()


def test_known_joints_become_labels_that_project_to_themselves(
    networks: tuple[PoseEmbedding, Lifter],
) -> None:
    """The rendered samples: their labels lead back to the joints they were made of."""
    scenes = read_scenes(SAMPLES, MUPOTS17)
    labels = label_scenes(scenes, networks[0])
    people = [person for scene in scenes.scenes.values() for person in zip(*vars_of(scene), strict=True)]
    assert labels["names"].tolist() == list(scenes.scenes)
    assert labels["ptr"][-1] == len(people) == len(labels["joints_m"])
    assert labels["exact"].all()
    assert labels["usable"].tolist() == [visible >= LEAST_VISIBLE for _, _, visible in people]
    clear = labels["usable"] & (labels["seen"].sum(1) == 12)
    projected = (
        labels["pelvis_px"][:, None]
        + labels["px_per_m"][:, None, None] * labels["joints_m"][:, KEYPOINT_JOINTS, :2]
    )
    torso = np.linalg.norm(
        labels["keypoints_px"][:, :2].mean(1) - labels["keypoints_px"][:, 6:8].mean(1), axis=1
    )
    assert (
        np.median((np.linalg.norm(projected - labels["keypoints_px"], axis=-1).mean(1) / torso)[clear]) < 0.15
    )
    # In the camera's frame again, bones have their true directions.
    name, index = next(
        (name, row)
        for name, scene in scenes.scenes.items()
        for row in range(len(scene.people))
        if scene.visible[row] > 0.9
    )
    scene, row = scenes.scenes[name], int(labels["ptr"][labels["names"].tolist().index(name)]) + index
    neck, pelvis = (scene.people.joints_px[index, MUPOTS17.index(joint)] for joint in ("neck", "pelvis"))
    picture = cv2.imread(str(scenes.source / name))
    middle = (np.array(picture.shape[1::-1]) - 1) / 2
    ray = np.append(((neck + pelvis) / 2 - middle) / scene.focal_px, 1.0)[None]
    identity = np.eye(3, dtype=np.float32)[None]
    found = bone_directions(
        labels["joints_m"][row : row + 1] @ ray_rotation(ray).transpose(0, 2, 1), identity
    )
    expected = bone_directions(scene.people.joints_mm[index : index + 1], identity)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def vars_of(scene: Any) -> tuple[Any, ...]:
    return scene.people.joints_mm, scene.people.roots_mm, scene.visible


def test_known_joints_are_trusted_among_further_photographs(
    tmp_path: Path, networks: tuple[PoseEmbedding, Lifter]
) -> None:
    save_weights(tmp_path / "embedding.safetensors", networks[0])
    folder = tmp_path / "more"
    folder.mkdir()
    words = [
        "--scenes",
        SAMPLES,
        "--embedding",
        tmp_path / "embedding.safetensors",
        "--out",
        folder / "labels.npz",
    ]
    posec(["train", "labels", *map(str, words)])
    scenes = read_scenes(SAMPLES, MUPOTS17)
    name = next(name for name, scene in scenes.scenes.items() if len(scene.people) > 1)
    with tarfile.open(folder / "photos.tar", "w") as archive:
        archive.add(scenes.source / name, name)
    with (folder / "photos.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("file", "kind"), (name, "scene")])
    photos = Photos()
    add_folder(photos, folder)
    assert len(photos.scenes) == 1
    assert len(photos.scenes[0].people) == len(scenes.scenes[name].people)
    assert photos.scenes[0].people.exact.all()
    assert not any(
        people.exact.any()
        for people in read_people_without_the_flag(folder / "labels.npz", tmp_path).values()
    )


def read_people_without_the_flag(path: Path, tmp_path: Path) -> dict[str, Any]:
    with np.load(path) as stored:
        np.savez(tmp_path / "plain.npz", **{name: stored[name] for name in stored.files if name != "exact"})
    return read_people(tmp_path / "plain.npz")


def test_a_person_behind_the_camera_is_refused(
    tmp_path: Path, networks: tuple[PoseEmbedding, Lifter]
) -> None:
    plain = json.loads(SAMPLES.read_text())
    scene = next(scene for scene in plain if scene["people"])
    scene["people"][0]["root_mm"][2] = -2000.0
    (tmp_path / "scenes.json").write_text(json.dumps([scene]))
    scenes = read_scenes(tmp_path / "scenes.json", MUPOTS17, read_scenes(SAMPLES, MUPOTS17).source)
    with pytest.raises(PosecError, match="before the camera"):
        label_scenes(scenes, networks[0])
