"""A small data folder of photographs, masks, rendered bodies and labels for the composition of pictures."""

from __future__ import annotations

import csv
import io
import tarfile
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from labelled_people import HEIGHT, WIDTH, people_in_a_portrait

from toolkit.network.embedding import PoseEmbedding
from toolkit.training.pictures.people import STORED_NAMES, People


class Material(NamedTuple):
    """The folders."""

    data: Path
    labels: Path
    bodies: Path


def marked(people: People, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    """Return a black picture with a soft white spot at the left wrist of the first person."""
    y, x = np.mgrid[: size[0], : size[1]]
    squared = (x - people.keypoints_px[0, 4, 0]) ** 2 + (y - people.keypoints_px[0, 4, 1]) ** 2
    return np.repeat((255 * np.exp(-squared / 18))[..., None], 3, 2).astype(np.uint8)


def spot_px(picture: np.ndarray) -> np.ndarray:
    weights = picture[..., 0].astype(float) ** 2
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    return np.array([(x * weights).sum(), (y * weights).sum()]) / weights.sum()


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
        STORED_NAMES.get(f.name, f.name): np.concatenate([getattr(p, f.name) for p in by_name.values()])
        for f in fields(People)
        if f.name != "exact"
    }
    np.savez(path, names=np.array(list(by_name)), ptr=np.arange(len(by_name) + 1), **arrays)


def write_material(folder: Path, model: PoseEmbedding) -> Material:
    """Write a small data folder, label folder and folder of bodies; every person has a bright left wrist."""
    data, labels, bodies = folder / "data", folder / "labels", folder / "bodies"
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
    return Material(data, labels, bodies)
