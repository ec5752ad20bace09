"""The photographs that training pictures are composed of, kept in memory as the bytes of their files.

A data folder holds `photos/ccp`, `photos/coco_reusable`, `backgrounds` and, for research alone, `photos/lspet`, each with its
pictures in a plain tar; a label folder holds `labels_<source>.npz` (see `read_people`) for each of them and for rendered bodies.

A folder of further photographs holds `photos.tar`, `labels.npz` and `photos.csv` with a row per picture to be used: `file`, and `kind`,
which is "scene" (people in their surroundings) or "empty" (nobody). Columns beyond, such as licence and source, are for people.
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
# Of numbered photographs one in so many is kept for measuring and never trained on.
HELD_OUT_EVERY = 10
# A photo of which fewer of the counted people are labelled would teach that the others are background.
LABELLED_SHARE = 0.6


@dataclass(frozen=True)
class Photo:
    """A picture, the people in it and, for a cut-out, where its pixels are the person's.

    `mask` holds an encoded one-channel picture; None where the picture has no mask or is transparent itself.
    """

    encoded: Encoded
    people: People
    mask: bytes | None = None


@dataclass
class Photos:
    """What there is to compose.

    Attributes:
        portraits: photos of one main person, some with bystanders.
        cutouts: those with a mask, and the one person in it.
        bodies: rendered bodies on transparent ground, with exact poses.
        scenes: photos of any number of people in their surroundings.
        empty: photos of places and animals without people.
    """

    portraits: list[Photo] = field(default_factory=list)
    cutouts: list[Photo] = field(default_factory=list)
    bodies: list[Photo] = field(default_factory=list)
    scenes: list[Photo] = field(default_factory=list)
    empty: list[Photo] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return how many there are of each."""
        return {name: len(group) for name, group in vars(self).items()}


def load_photos(
    data: Path, labels: Path, tier: str = "ship", *, bodies: Path | None = None, more: Sequence[Path] = ()
) -> Photos:
    """Read the photographs of a tier.

    Args:
        data: the data folder.
        labels: the label folder.
        tier: "ship", whose terms allow releasing what is trained on it, or "research".
        bodies: folder of rendered bodies, named in `labels_bodies.npz`; None for none.
        more: folders of further photographs; of what tier they are is for who gives them to say.

    Held-out photographs (see `held_out`), pictures that also serve evaluation, and pictures whose number of people is unknown are
    left out.
    Raises PosecError where a file is missing or contradicts its labels.
    """
    if tier not in TIERS:
        raise PosecError(f"no tier '{tier}'; known: {', '.join(TIERS)}")
    photos = Photos()
    _add_portraits(photos, data / "photos/ccp", read_people(labels / "labels_ccp.npz"))
    _add_scenes(photos, data / "photos/coco_reusable", read_people(labels / "labels_coco_reusable.npz"))
    photos.empty += [
        Photo(encoded, no_people()) for encoded in read_tar(data / "backgrounds/images.tar").values()
    ]
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
        rendered = read_people(labels / "labels_bodies.npz", exact=True)
        known = {path.name: path for path in bodies.iterdir()}
        if missing := [name for name in rendered if name not in known]:
            raise PosecError(
                f"labels name {len(missing)} bodies that are not in '{bodies}', such as {missing[0]}; render them again"
            )
        photos.bodies = [
            Photo(known[name], people) for name, people in rendered.items() if people.usable.any()
        ]
    return photos


def held_out(name: str) -> bool:
    """Say whether a photograph of a numbered set, such as "0120.webp" or "im00120.webp", is kept for measuring."""
    digits = "".join(letter for letter in Path(name).stem if letter.isdigit())
    return bool(digits) and int(digits) % HELD_OUT_EVERY == 0


def read_tar(path: Path) -> dict[str, bytes]:
    """Return the files of a plain tar by name."""
    if not path.is_file():
        raise PosecError(f"no pictures at '{path}'; give the data folder that holds them")
    with tarfile.open(path) as archive:
        found = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name: stream.read() for name, stream in found.items() if stream is not None}


def _add_portraits(photos: Photos, folder: Path, labelled: dict[str, People]) -> None:
    stored, masks = read_tar(folder / "photos.tar"), read_tar(folder / "masks.tar")
    for name, people in labelled.items():
        if len(people) == 0 or held_out(name):
            continue  # somebody stands in every portrait: this one is unlabelled, not empty
        photos.portraits.append(Photo(stored[name], people))
        mask = masks.get(Path(name).with_suffix(".png").name)
        if mask is None:
            continue
        covered = decode(mask, cv2.IMREAD_GRAYSCALE)
        person = _person_of_mask(covered, people)
        if covered.any() and people.usable[person]:
            photos.cutouts.append(Photo(stored[name], people.select(slice(person, person + 1)), mask))


def _person_of_mask(mask: np.ndarray, people: People) -> int:
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
                # What a detector reports here is not a person: the hardest negatives there are.
                photos.empty.append(Photo(encoded, no_people()))
            elif len(people) >= LABELLED_SHARE * count:
                photos.scenes.append(Photo(encoded, people))


def add_folder(photos: Photos, folder: Path) -> None:
    """Add a folder of further photographs, as the module describes it. Raises PosecError where its files disagree."""
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
            raise PosecError(
                f"'{folder / 'photos.csv'}': '{name}' is a '{kind}'; needed: empty, or scene with labels in labels.npz"
            )
