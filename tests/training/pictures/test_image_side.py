from __future__ import annotations

import argparse
import csv
import io
import json
import subprocess
import sys
import tarfile
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from labelled_people import HEIGHT, WIDTH, batch_of, people_in_a_portrait, perfect_maps

from toolkit.errors import PosecError
from toolkit.network.checkpoint import load_checkpoint
from toolkit.network.embedding import PoseEmbedding
from toolkit.network.heads import reference_spec
from toolkit.network.network import KeypointNetwork
from toolkit.runtime.pose import MUPOTS17
from toolkit.training.learning.losses import pose_losses
from toolkit.training.learning.network_settings import NetworkTraining, read_settings, read_size
from toolkit.training.learning.targets import make_targets
from toolkit.training.learning.train_network import Hardware, main, train_network
from toolkit.training.pictures.compose import Mixture, compose
from toolkit.training.pictures.dataset import IGNORED, NOBODY, PERSON, ComposedPictures, pack
from toolkit.training.pictures.layers import Canvas
from toolkit.training.pictures.people import KEYPOINT_JOINTS, People, read_people
from toolkit.training.pictures.photos import load_photos
from toolkit.training.pictures.pictures import similarity, warp
from toolkit.training.run.runs import save_weights

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def embedding(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PoseEmbedding]:
    torch.manual_seed(0)
    model = PoseEmbedding().eval()
    path = tmp_path_factory.mktemp("embedding") / "embedding.safetensors"
    save_weights(path, model)
    return path, model


def marked(people: People, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """A black picture with a soft white spot at the left wrist of the first person."""
    y, x = np.mgrid[: size[0], : size[1]]
    squared = (x - people.keypoints_px[0, 4, 0]) ** 2 + (y - people.keypoints_px[0, 4, 1]) ** 2
    return np.repeat((255 * np.exp(-squared / 18))[..., None], 3, 2).astype(np.uint8)


def spot_px(picture: np.ndarray) -> np.ndarray:
    weights = picture[..., 0].astype(float) ** 2
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    return np.array([(x * weights).sum(), (y * weights).sum()]) / weights.sum()


@pytest.mark.parametrize(("scale", "angle"), [(1.0, 0.0), (1.7, 0.4), (0.45, -0.3), (0.3, 1.5)])
def test_labels_stay_on_the_person_under_any_similarity(
    embedding: tuple[Path, PoseEmbedding], scale: float, angle: float
) -> None:
    person = people_in_a_portrait(embedding[1])
    matrix = similarity((60, 80), (160, 150), scale, angle)
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


def test_labels_stay_on_the_person_in_a_mirror(embedding: tuple[Path, PoseEmbedding]) -> None:
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


def test_a_pasted_person_is_where_the_label_says(embedding: tuple[Path, PoseEmbedding]) -> None:
    person = people_in_a_portrait(embedding[1])
    layer = np.dstack([marked(person), np.full((HEIGHT, WIDTH), 255, np.uint8)])
    canvas = Canvas(np.zeros((256, 448, 3), np.uint8))
    canvas.paste_person(layer, person, similarity((60, 80), (300.3, 120.7), 0.8, 0.5), np.ones(3))
    pasted = canvas.visible_people()
    np.testing.assert_allclose(spot_px(canvas.picture), pasted.keypoints_px[0, 4], atol=0.12)
    assert pasted.usable.all()


def test_people_who_are_covered_do_not_teach_poses(embedding: tuple[Path, PoseEmbedding]) -> None:
    person = people_in_a_portrait(embedding[1])
    layer = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    canvas = Canvas(np.zeros((256, 448, 3), np.uint8))
    behind, in_front, aside = (
        similarity((60, 80), goal, 1, 0) for goal in ((100, 120), (110, 120), (330, 120))
    )
    for matrix in (behind, in_front, aside):
        canvas.paste_person(layer, person, matrix, np.ones(3))
    assert canvas.visible_people().usable.tolist() == [False, True, True]


def test_clipping_drops_centres_outside_and_hides_joints(embedding: tuple[Path, PoseEmbedding]) -> None:
    person = people_in_a_portrait(embedding[1])
    x, y = np.round(person.centres_px[0]).astype(int)
    assert len(person.clipped((0, 0, int(x) - 2, HEIGHT))) == 0
    half = person.clipped((0, 0, WIDTH, int(y) + 2))
    assert len(half) == 1
    np.testing.assert_array_equal(half.seen[0] > 0, person.keypoints_px[0, :, 1] < y + 1.5)


@pytest.fixture(scope="module")
def material(
    tmp_path_factory: pytest.TempPathFactory, embedding: tuple[Path, PoseEmbedding]
) -> tuple[Path, Path, Path]:
    """A tiny data folder, label folder and folder of bodies; every person is a bright figure with a marked wrist."""
    folder = tmp_path_factory.mktemp("material")
    data, labels, bodies = folder / "data", folder / "labels", folder / "bodies"
    model = embedding[1]
    persons = [people_in_a_portrait(model, 1, seed) for seed in range(3)]
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[10:150, 30:90] = 255
    numbered = {"1": persons[0], "2": persons[1], "3": persons[2], "10": persons[0]}
    png = {f"{number}.png": encoded(marked(person) // 2 + 60, ".png") for number, person in numbered.items()}
    portraits = {name.replace("png", "webp"): blob for name, blob in png.items()}
    write_tar(data / "photos/ccp/photos.tar", portraits)
    write_tar(
        data / "photos/ccp/masks.tar",
        {f"{number}.png": encoded(kept * mask, ".png") for number, kept in (("1", 1), ("2", 0), ("10", 1))},
    )
    write_tar(
        data / "photos/coco_reusable/images.tar",
        {f"{i}.jpg": encoded(marked(persons[0]), ".jpg") for i in range(4)},
    )
    counts = [("0.jpg", "1", "0"), ("1.jpg", "0", "0"), ("2.jpg", "", "0"), ("3.jpg", "1", "1")]
    with (data / "photos/coco_reusable/coco_reusable_images.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("file", "annotated_persons", "in_eval_tiny_coco"), *counts])
    write_tar(
        data / "backgrounds/images.tar", {"wall.jpg": encoded(np.full((90, 130, 3), 90, np.uint8), ".jpg")}
    )
    bodies.mkdir(parents=True)
    (bodies / "body.png").write_bytes(encoded(np.dstack([marked(persons[0]), mask]), ".png"))
    labels.mkdir()
    write_labels(labels / "labels_ccp.npz", {f"{number}.webp": person for number, person in numbered.items()})
    write_labels(labels / "labels_coco_reusable.npz", {f"{i}.jpg": persons[0] for i in range(4)})
    write_labels(labels / "labels_bodies.npz", {"body.png": persons[0]})
    return data, labels, bodies


def encoded(picture: np.ndarray, kind: str) -> bytes:
    return cv2.imencode(kind, picture)[1].tobytes()


def write_tar(path: Path, blobs: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, blob in blobs.items():
            member = tarfile.TarInfo(name)
            member.size = len(blob)
            archive.addfile(member, io.BytesIO(blob))


def write_labels(path: Path, by_name: dict[str, People]) -> None:
    arrays = {
        f.name: np.concatenate([getattr(p, f.name) for p in by_name.values()])
        for f in fields(People)
        if f.name != "exact"
    }
    np.savez(path, names=np.array(list(by_name)), ptr=np.arange(len(by_name) + 1), **arrays)


def test_photos_leave_out_what_may_not_teach(material: tuple[Path, Path, Path]) -> None:
    data, labels, bodies = material
    photos = load_photos(data, labels, "ship", bodies)
    # Of four scenes one has a person, one is empty, one is uncounted and one serves evaluation; of two masks one is empty.
    # Portrait 10 is held out.
    assert photos.counts() == {"portraits": 3, "cutouts": 1, "bodies": 1, "scenes": 1, "empty": 2}
    with pytest.raises(PosecError, match="no tier 'all'; known: ship, research"):
        load_photos(data, labels, "all")


def test_further_photographs_join_the_others(
    tmp_path: Path, material: tuple[Path, Path, Path], embedding: tuple[Path, PoseEmbedding]
) -> None:
    data, labels, _ = material
    person = people_in_a_portrait(embedding[1], 1, 5)
    write_tar(
        tmp_path / "photos.tar",
        {f"{name}.jpg": encoded(marked(person), ".jpg") for name in ("street", "wall", "unused")},
    )
    write_labels(tmp_path / "labels.npz", {"street.jpg": person, "unused.jpg": person})
    table = tmp_path / "photos.csv"
    table.write_text("file,kind,licence\nstreet.jpg,scene,CC0\nwall.jpg,empty,CC0\n")
    before, after = load_photos(data, labels).counts(), load_photos(data, labels, more=[tmp_path]).counts()
    assert {name: after[name] - before[name] for name in after if after[name] != before[name]} == {
        "scenes": 1,
        "empty": 1,
    }
    for row, words in (("gone.jpg,scene", "'gone.jpg', which is not in photos.tar"), ("wall.jpg,scene", "'wall.jpg' is a 'scene'; needed"),
                       ("wall.jpg,portrait", "'wall.jpg' is a 'portrait'; needed")):  # fmt: skip
        table.write_text(f"file,kind\n{row}\n")
        with pytest.raises(PosecError, match=words):
            load_photos(data, labels, more=[tmp_path])
    for unusable in (b"file\nstreet.jpg\n", b"file,kind\nstreet.jpg,sc\xe8ne\n"):
        table.write_bytes(unusable)
        with pytest.raises(PosecError, match="UTF-8, with the columns file and kind"):
            load_photos(data, labels, more=[tmp_path])


def test_labels_that_contradict_themselves_are_refused(
    tmp_path: Path, material: tuple[Path, Path, Path]
) -> None:
    with np.load(material[1] / "labels_ccp.npz") as stored:
        arrays = dict(stored)
    np.savez(tmp_path / "short.npz", **{**arrays, "px_per_m": arrays["px_per_m"][:1]})
    with pytest.raises(PosecError, match="contradict themselves"):
        read_people(tmp_path / "short.npz")
    del arrays["usable"]
    np.savez(tmp_path / "less.npz", **arrays)
    with pytest.raises(PosecError, match="lack usable"):
        read_people(tmp_path / "less.npz")


@pytest.mark.parametrize("kind", ["mosaic", "scene", "pasted", "empty"])
def test_every_kind_of_picture_is_composed(material: tuple[Path, Path, Path], kind: str) -> None:
    photos = load_photos(material[0], material[1], "ship", material[2])
    mixture = replace(
        Mixture(), **{name: float(name == kind) for name in ("mosaic", "scene", "pasted", "empty")}
    )
    found = 0
    for seed in range(8):
        picture, people = compose(photos, mixture, (128, 224), 128, np.random.default_rng(seed))
        assert picture.shape == (128, 224, 3)
        assert picture.dtype == np.uint8
        assert ((people.centres_px > -0.5) & (people.centres_px < (223.5, 127.5))).all()
        found += len(people)
    assert (found == 0) == (kind == "empty")


def test_pictures_depend_on_seed_and_number_alone(material: tuple[Path, Path, Path]) -> None:
    photos = load_photos(material[0], material[1], "ship", material[2])
    stream = iter(ComposedPictures(photos, Mixture(), reference_spec(), seed=3, start=5))
    first, second = next(stream), next(stream)
    again = ComposedPictures(photos, Mixture(), reference_spec(), seed=3).picture(6)
    assert all(np.array_equal(second[name], again[name]) for name in again)
    assert not np.array_equal(first["image"], second["image"])


def test_packing_keeps_the_nearest_and_marks_the_unusable(embedding: tuple[Path, PoseEmbedding]) -> None:
    people = people_in_a_portrait(embedding[1], 20)
    people = replace(people, px_per_m=np.arange(20, dtype=np.float32) + 5, usable=np.arange(20) % 2 == 0)
    packed = pack(people, 32)
    assert packed["px_per_m"].tolist() == list(range(24, 8, -1))
    assert packed["status"].tolist() == [IGNORED, PERSON] * 8
    assert pack(people.select(slice(0, 0)), 32)["status"].tolist() == [NOBODY] * 16


def test_targets_peak_at_centres_and_share_cells_by_the_nearest(
    embedding: tuple[Path, PoseEmbedding],
) -> None:
    spec = reference_spec()
    people = people_in_a_portrait(embedding[1], 3)
    goals = np.array([[48.0, 60.0], [80.0, 60.0], [160.0, 100.0]], np.float32)
    people = replace(
        people, pelvis_px=people.pelvis_px + goals - people.centres_px, usable=np.array([True, True, False])
    )
    targets = make_targets(batch_of(people), spec, (32, 56))
    assert [tuple(cell) for cell in (targets.heat[0] == 1).nonzero().tolist()] == [(8, 6), (8, 10)]
    assert targets.ignored[0, 12, 20]
    assert not targets.ignored[0, 8, 6]
    totals = torch.zeros(3).index_put((targets.cells[:, 3],), targets.weights, accumulate=True)
    np.testing.assert_allclose(totals, [1, 1, 0], atol=1e-6)
    for _, row, column, person in targets.cells.tolist():
        distances = np.linalg.norm(goals[:2] / 8 - (column, row), axis=1)
        assert distances[person] == distances.min()


def test_losses_vanish_on_perfect_maps_and_only_there(embedding: tuple[Path, PoseEmbedding]) -> None:
    people = people_in_a_portrait(embedding[1])
    raw, labels = perfect_maps(people), batch_of(people)
    losses = pose_losses(raw, labels, reference_spec(), embedding[1].decode)
    found = {name: float(value.detach()) for name, value in losses.items()}
    assert found.pop("rotation") == pytest.approx(0.01, abs=1e-3)
    assert max(found.values()) < 2e-3, found
    for name, maps in raw.items():
        worse = pose_losses(
            {**raw, name: maps + (8 if name == "centre" else 0.3)},
            labels,
            reference_spec(),
            embedding[1].decode,
        )
        assert float(worse[name].detach()) > 2 * found.get(name, 0.01) + 1e-4, name


def test_without_fitted_poses_photographs_teach_by_their_key_points_alone(
    embedding: tuple[Path, PoseEmbedding],
) -> None:
    people = people_in_a_portrait(embedding[1])
    raw = {name: maps + 0.3 for name, maps in perfect_maps(people).items()}

    def losses(exact: bool) -> dict[str, float]:
        labels = batch_of(replace(people, exact=np.array([exact])))
        found = pose_losses(raw, labels, reference_spec(), embedding[1].decode, fitted_pose_weight=0.0)
        return {name: float(value.detach()) for name, value in found.items()}

    known, unknown = losses(True), losses(False)
    for name in ("embedding", "rotation", "depth", "joints"):
        assert known[name] > 0.01
        assert unknown[name] == 0
    for name in ("centre", "offset", "projection", "auxiliary"):
        assert unknown[name] == known[name] > 0


def test_a_batch_with_nobody_teaches_that_it_is_empty(embedding: tuple[Path, PoseEmbedding]) -> None:
    people = people_in_a_portrait(embedding[1])
    losses = pose_losses(
        perfect_maps(people), batch_of(people.select(slice(0, 0))), reference_spec(), embedding[1].decode
    )
    assert set(losses) == {"centre"}
    assert float(losses["centre"]) > 1


def test_gradients_reach_every_trainable_parameter(embedding: tuple[Path, PoseEmbedding]) -> None:
    torch.manual_seed(0)
    network = KeypointNetwork().train()
    network.backbone.freeze()
    with torch.no_grad():
        for zero in (
            network.context.merge,
            network.lifting_head.from_features,
        ):  # at their zero start, what is before them has no gradient yet
            zero.weight.normal_(std=0.05)
    people = people_in_a_portrait(embedding[1])
    raw = network.raw_maps(*network.backbone(torch.randn(1, 3, 256, 448)))
    losses = pose_losses(raw, batch_of(people), network.spec(), embedding[1].decode)
    torch.stack(list(losses.values())).sum().backward()
    for name, parameter in network.named_parameters():
        # MobileNetV2 is frozen; heat and offsets of key points are judged by the anchor alone.
        unused = ("keypoint_head.heatmap", "keypoint_head.offset", "keypoint_head.branches.offset")
        if name.startswith(("backbone.stem", "backbone.blocks.", "backbone.last", *unused)):
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
            assert parameter.grad.any(), name


def test_a_run_learns_is_kept_and_goes_on(
    tmp_path: Path, material: tuple[Path, Path, Path], embedding: tuple[Path, PoseEmbedding]
) -> None:
    torch.manual_seed(0)
    save_weights(tmp_path / "start.safetensors", KeypointNetwork())
    photos = load_photos(material[0], material[1], "ship", material[2])
    config = NetworkTraining(
        init=str(tmp_path / "start.safetensors"),
        pictures=4,
        batch=2,
        warm_up=1,
        report_every=1,
        save_every_s=0,
    )
    train_network(config, photos, embedding[0], tmp_path / "out", hardware=Hardware(workers=0))
    train_network(
        replace(config, pictures=6), photos, embedding[0], tmp_path / "out", hardware=Hardware(workers=0)
    )
    lines = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text().splitlines()]
    assert [line["pictures"] for line in lines] == [2, 4, 6]
    assert all(np.isfinite(list(line.values())).all() for line in lines)
    kept = load_checkpoint(tmp_path / "out/checkpoint").network.state_dict()
    start = KeypointNetwork().state_dict()
    assert any(not torch.equal(kept[name], start[name]) for name in kept if name.startswith("heads."))
    with pytest.raises(PosecError, match="delete it or give another output"):
        train_network(
            replace(config, learning_rate=1.0),
            photos,
            embedding[0],
            tmp_path / "out",
            hardware=Hardware(workers=0),
        )
    with pytest.raises(PosecError, match=r"posec train lift.*give --init"):
        train_network(
            replace(config, init=""), photos, embedding[0], tmp_path / "new", hardware=Hardware(workers=0)
        )
    with pytest.raises(PosecError, match="one of them must be 0"):
        train_network(
            replace(config, minutes=1.0), photos, embedding[0], tmp_path / "out", hardware=Hardware(workers=0)
        )


@pytest.mark.parametrize("backbone_rate", [0.0, 1e-4])
def test_a_network_that_reads_key_points_learns_pictures(
    tmp_path: Path,
    material: tuple[Path, Path, Path],
    embedding: tuple[Path, PoseEmbedding],
    backbone_rate: float,
) -> None:
    torch.manual_seed(0)
    start = KeypointNetwork()
    save_weights(tmp_path / "start.safetensors", start)
    photos = load_photos(material[0], material[1], "ship", material[2])
    config = NetworkTraining(init=str(tmp_path / "start.safetensors"), pictures=4, batch=2, warm_up=1, report_every=1, save_every_s=0,
                             backbone_rate=backbone_rate, int8_share=0.5)  # fmt: skip
    train_network(config, photos, embedding[0], tmp_path / "out", hardware=Hardware(workers=0))
    network, _, spec = load_checkpoint(tmp_path / "out/checkpoint")
    assert (spec.cell_origin_px, spec.keypoints) == (2.0, start.spec().keypoints)
    kept, first = network.state_dict(), start.state_dict()
    assert not torch.equal(kept["fine_projection.0.weight"], first["fine_projection.0.weight"])
    assert torch.equal(kept["backbone.stem.weight"], first["backbone.stem.weight"])
    assert torch.equal(kept["backbone.blocks.16.project.weight"], first["backbone.blocks.16.project.weight"])
    for name in (
        "backbone.levels.0.side.weight",
        "keypoint_head.regression.weight",
        "keypoint_head.heatmap.weight",
    ):
        assert torch.equal(kept[name], first[name]) == (backbone_rate == 0), name


def test_a_network_learns_at_the_size_that_it_is_told(
    tmp_path: Path, material: tuple[Path, Path, Path], embedding: tuple[Path, PoseEmbedding]
) -> None:
    save_weights(tmp_path / "start.safetensors", KeypointNetwork())
    options = {"data": material[0], "labels": material[1], "bodies": material[2], "embedding": embedding[0], "out": tmp_path / "out",
               "init": tmp_path / "start.safetensors", "workers": 0, "size": "96x160"}  # fmt: skip
    (tmp_path / "short.toml").write_text("[network]\npictures = 2\nbatch = 2\ninput_size = [64, 64]\n")
    main(
        [
            "--config",
            str(tmp_path / "short.toml"),
            *(word for name, value in options.items() for word in (f"--{name}", str(value))),
        ]
    )
    assert load_checkpoint(tmp_path / "out/checkpoint").spec.input_size == (96, 160)
    assert read_settings(tmp_path / "short.toml").input_size == (64, 64)


@pytest.mark.parametrize(
    "text", ["384", "384x", "x640", "384x650", "0x640", "-32x640", "384x640x3", "384 x 640"]
)
def test_sizes_that_the_network_cannot_take_are_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"multiples of 32|write HEIGHTxWIDTH"):
        read_size(text)


def test_processes_learn_one_network_together(
    tmp_path: Path, material: tuple[Path, Path, Path], embedding: tuple[Path, PoseEmbedding]
) -> None:
    save_weights(tmp_path / "start.safetensors", KeypointNetwork())
    config = tmp_path / "config.toml"
    config.write_text("[network]\npictures = 8\nbatch = 2\nwarm_up = 1\nreport_every = 1\nsave_every_s = 0\n")
    options = {"config": config, "data": material[0], "labels": material[1], "bodies": material[2], "embedding": embedding[0],
               "init": tmp_path / "start.safetensors", "out": tmp_path / "out", "threads": 1, "workers": 0}  # fmt: skip
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "toolkit.training.learning.train_network",
    ]
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = subprocess.run([*launch, *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "out/train.jsonl").read_text().splitlines()]
    assert [(line["step"], line["pictures"]) for line in lines] == [(1, 4), (2, 8)]
    assert isinstance(load_checkpoint(tmp_path / "out/checkpoint").network, KeypointNetwork)


def test_the_reference_configuration_is_read(tmp_path: Path) -> None:
    path = Path(__file__).parents[3] / "toolkit/training/configs/reference.toml"
    settings = read_settings(path)
    assert settings.loss_weights["rotation"] == 0.5
    assert settings.mixture.empty == 0.15
    (tmp_path / "odd.toml").write_text("[network]\nlearning_speed = 1.0\n")
    with pytest.raises(PosecError, match="learning_speed"):
        read_settings(tmp_path / "odd.toml")
