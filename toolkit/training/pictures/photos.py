"""The source photographs of training pictures, kept in memory as encoded bytes.

A data folder holds `photos/ccp`, `photos/coco_reusable`, `backgrounds` and, for research only,
`photos/lspet`. Each has its pictures in an uncompressed tar. A label folder holds `labels_<source>.npz` (see
`read_people`) for each source and for rendered bodies.

A folder of further photographs holds `photos.tar`, `labels.npz` and `photos.csv` with one row per picture.
Its column `file` is the name in the tar; `kind` is "scene" (people in their surroundings) or "empty" (no
people). Other columns, such as licence and source, are ignored.
"""

from __future__ import annotations

import csv
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from ...errors import PosecError
from .people import People, no_people, read_people, within
from .pictures import Encoded, decode

TIERS = ("ship", "research")
# One in this many numbered photographs is held out for evaluation.
HELD_OUT_EVERY = 10
# Below this share of labelled people a photo is excluded: it would teach that the others are background.
LABELLED_SHARE = 0.6


@dataclass(frozen=True)
class Photo:
    """A picture and its people.

    Attributes:
        encoded: the picture.
        people: its labels.
        mask: encoded one-channel mask of a cut-out person; None without a mask or with an alpha channel.
    """

    encoded: Encoded
    people: People
    mask: bytes | None = None


@dataclass
class Photos:
    """The photos of a run by kind.

    Attributes:
        portraits: photos of one main person, some with bystanders.
        cutouts: portraits with a mask, and the one person in it.
        bodies: rendered bodies on a transparent background, with exact poses.
        scenes: photos of any number of people in their surroundings.
        empty: photos of places and animals without people.
    """

    portraits: list[Photo] = field(default_factory=list)
    cutouts: list[Photo] = field(default_factory=list)
    bodies: list[Photo] = field(default_factory=list)
    scenes: list[Photo] = field(default_factory=list)
    empty: list[Photo] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return the number of photos of each kind."""
        return {name: len(group) for name, group in vars(self).items()}


def load_photos(
    data: Path, labels: Path, tier: str = "ship", *, bodies: Path | None = None, more: Sequence[Path] = ()
) -> Photos:
    """Read the photographs of a tier.

    Held-out photographs (see `held_out`), pictures of the evaluation set and pictures with an unknown number
    of people are excluded.

    Args:
        data: the data folder.
        labels: the label folder.
        tier: "ship", with licences for releasing networks trained on it, or "research".
        bodies: folder of rendered bodies, listed in `labels_bodies.npz`; None for none.
        more: folders of further photographs; their licences are the caller's concern.

    Raises PosecError where a file is missing or contradicts its labels.
    """
    if tier not in TIERS:
        raise PosecError(f"no tier '{tier}'; known: {', '.join(TIERS)}")
    photos = Photos()
    _add_portraits(photos, data / "photos/ccp", read_people(labels / "labels_ccp.npz"))
    _add_scenes(photos, data / "photos/coco_reusable", read_people(labels / "labels_coco_reusable.npz"))
    places = read_tar(data / "backgrounds/images.tar").values()
    photos.empty += [Photo(encoded, no_people()) for encoded in places]
    if tier == "research":
        stored = read_tar(data / "photos/lspet/photos.tar")
        labelled = read_people(labels / "labels_lspet.npz")
        photos.scenes += [
            Photo(stored[name], people)
            for name, people in labelled.items()
            if people.usable.any() and not held_out(name)
        ]
    for folder in more:
        add_folder(photos, folder)
    if bodies is not None:
        photos.bodies = _read_bodies(bodies, labels / "labels_bodies.npz")
    return photos


def _read_bodies(folder: Path, labels: Path) -> list[Photo]:
    rendered = read_people(labels, exact=True)
    files = {path.name: path for path in folder.iterdir()}
    if missing := [name for name in rendered if name not in files]:
        reason = f"{len(missing)} bodies of '{labels}' are missing in '{folder}', such as {missing[0]}"
        raise PosecError(f"{reason}; render them again")
    return [Photo(files[name], people) for name, people in rendered.items() if people.usable.any()]


def held_out(name: str) -> bool:
    """Return whether a photo of a numbered set, such as "0120.webp" or "im00120.webp", is held out."""
    digits = "".join(letter for letter in Path(name).stem if letter.isdigit())
    return bool(digits) and int(digits) % HELD_OUT_EVERY == 0


def read_tar(path: Path) -> dict[str, bytes]:
    """Return the files of an uncompressed tar by name. Raises PosecError where it is missing."""
    if not path.is_file():
        raise PosecError(f"no pictures at '{path}'; give the data folder that holds them")
    with tarfile.open(path) as archive:
        streams = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name: stream.read() for name, stream in streams.items() if stream is not None}


def _add_portraits(photos: Photos, folder: Path, labelled: dict[str, People]) -> None:
    stored, masks = read_tar(folder / "photos.tar"), read_tar(folder / "masks.tar")
    for name, people in labelled.items():
        if len(people) == 0 or held_out(name):
            continue  # every portrait shows a person, so this one is unlabelled, not empty
        photos.portraits.append(Photo(stored[name], people))
        mask = masks.get(Path(name).with_suffix(".png").name)
        if mask is None:
            continue
        covered = decode(mask, cv2.IMREAD_GRAYSCALE)
        person = _person_of_mask(covered, people)
        if covered.any() and people.usable[person]:
            photos.cutouts.append(Photo(stored[name], people.select(slice(person, person + 1)), mask))


def _person_of_mask(mask: np.ndarray, people: People) -> int:
    """Return the index of the person with the most key points on the mask."""
    height, width = mask.shape
    inside = within(people.keypoints_px, (0, 0, width, height)) & (people.visible > 0)
    x, y = np.clip(np.round(people.keypoints_px), 0, (width - 1, height - 1)).astype(int).transpose(2, 0, 1)
    return int(((mask[y, x] > 0) & inside).sum(1).argmax())


def _add_scenes(photos: Photos, folder: Path, labelled: dict[str, People]) -> None:
    stored = read_tar(folder / "images.tar")
    with (folder / "coco_reusable_images.csv").open(newline="") as table:
        for row in csv.DictReader(table):
            if row["in_eval_tiny_coco"] == "1" or not row["annotated_persons"]:
                continue
            count, encoded = int(row["annotated_persons"]), stored[row["file"]]
            people = labelled.get(row["file"], no_people())
            if count == 0:
                # Detections of the teacher here are false positives, so the photo is a hard negative.
                photos.empty.append(Photo(encoded, no_people()))
            elif len(people) >= LABELLED_SHARE * count:
                photos.scenes.append(Photo(encoded, people))


def add_folder(photos: Photos, folder: Path) -> None:
    """Add a folder of further photographs, see the module. Raises PosecError where its files disagree."""
    stored, labelled = read_tar(folder / "photos.tar"), read_people(folder / "labels.npz")
    try:
        rows = list(csv.DictReader((folder / "photos.csv").read_text(encoding="utf-8").splitlines()))
        chosen = {row["file"]: row["kind"] for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise PosecError(
            f"no usable photos.csv in '{folder}': {error!r}; it must be UTF-8, with the columns file and kind"
        ) from error
    for name, kind in chosen.items():
        if name not in stored:
            raise PosecError(f"'{folder / 'photos.csv'}' names '{name}', which is not in photos.tar")
        if kind == "empty":
            photos.empty.append(Photo(stored[name], no_people()))
        elif kind == "scene" and name in labelled:
            photos.scenes.append(Photo(stored[name], labelled[name]))
        else:
            where = folder / "photos.csv"
            raise PosecError(
                f"'{where}': '{name}' is a '{kind}'; needed: empty, or scene with labels in labels.npz"
            )
