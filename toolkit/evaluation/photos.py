"""Protocol "tiny-coco": real photos with hand-made 2D joints in COCO's format.

One person of the annotations pairs with one prediction at most, separately for the two questions asked:

centre   Of people with all four torso joints labelled, a centre hits when it lies within half a torso (mid-shoulders to
         mid-hips, but at least a tenth of the longer box side) of the middle of those joints; of others, when it lies in
         their box. Nearest first; distance in half torsos, or in box diagonals from the box middle.
OKS      The 12 body joints (shoulders to ankles) that are labelled, COCO's sigmas, the annotated area; best first. A
         person without a prediction counts as 0. Face joints are not asked for: the 17 joints of MuPoTS-3D have none.
PCK@0.2  Of the same pairs, the labelled body joints nearer than a fifth of the torso's diagonal (a shoulder to the other side's
         hip; people who have neither diagonal labelled are not asked for). Joints of a person without a prediction are wrong.

Scored people have key points and are no crowd. A prediction is off-person when its centre lies in no annotated box,
crowds included, grown by 5 pixels. `>=96` and `<96` split by the height of the box in pixels of the picture.

Valid Python 3.8: a board runs this.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..device.matching import nearest_first
from ..errors import PosecError
from ..runtime.pose import PoseFrame, Skeleton
from .metrics import COCO_SIGMAS, oks
from .pictures import read_picture

TINY_COCO = "tiny-coco"
BODY = np.arange(5, 17)  # COCO's joints from the left shoulder to the right ankle
TORSO = np.array([5, 6, 11, 12])
DIAGONALS = ((5, 12), (6, 11))
PCK_DIAGONAL = 0.2
# The same twelve, in COCO's order, by the names of the skeleton.
BODY_NAMES = tuple(
    f"{side}_{part}"
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
TALL_PX = 96


@dataclass(frozen=True)
class Annotated:
    """One annotated person: box x, y, width, height; joints (17, 3) x, y, visibility; outline area; all in pixels."""

    box: np.ndarray
    joints: np.ndarray
    area: float
    scored: bool


class Judged(NamedTuple):
    """How one annotated person fares: box height, is the centre hit, has body joints, OKS, joints asked for PCK, and those near."""

    height_px: float
    centre_hit: bool
    has_body: bool
    oks: float
    joints: int
    joints_near: int


@dataclass(frozen=True)
class Photos:
    """Annotated photos: `people` by file name, and where the pictures are."""

    people: Mapping[str, tuple[Annotated, ...]]
    source: Path

    def __len__(self) -> int:
        return len(self.people)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray, float | None]]:
        """Yield (name, BGR picture, None: the focal length is not known), read as they come."""
        return ((name, read_picture(self.source, name), None) for name in self.people)


def read_photos(annotations: str | Path, pictures: str | Path) -> Photos:
    """Read a COCO key point file and name the folder or tar file that holds its pictures. Raises PosecError."""
    try:
        plain = json.loads(Path(annotations).read_text())
        names = {image["id"]: str(image["file_name"]) for image in plain["images"]}
        people: dict[str, list[Annotated]] = {name: [] for name in names.values()}
        for entry in plain["annotations"]:
            people[names[entry["image_id"]]].append(_annotated(entry))
    except OSError as error:
        raise PosecError(f"no annotations '{annotations}'; give a COCO key point file (.json)") from error
    except (KeyError, TypeError, ValueError) as error:
        raise PosecError(
            f"'{annotations}' is not a COCO key point file: {error!r}; it needs images and annotations with key points"
        ) from error
    return Photos({name: tuple(found) for name, found in people.items()}, Path(pictures))


def _annotated(entry: Mapping[str, Any]) -> Annotated:
    joints = np.asarray(entry["keypoints"], np.float64).reshape(17, 3)
    return Annotated(np.asarray(entry["bbox"], np.float64).reshape(4), joints, float(entry["area"]),
                     entry["num_keypoints"] > 0 and not entry["iscrowd"])  # fmt: skip


def body_joints_px(people: PoseFrame, skeleton: Skeleton) -> np.ndarray:
    """Return the twelve body joints (N, 12, 2) in COCO's order."""
    return people.joints_px[:, [skeleton.index(name) for name in BODY_NAMES]].astype(np.float64)


def centre_distance(centre_px: np.ndarray, person: Annotated) -> float:
    """Return how far a centre is from an annotated person, below 1 for a hit, infinite beyond; see the protocol."""
    x, y, width, height = person.box
    torso = person.joints[TORSO]
    if (torso[:, 2] > 0).all():
        trunk_px = np.linalg.norm(torso[:2, :2].mean(axis=0) - torso[2:, :2].mean(axis=0))
        half_torso_px = max(float(trunk_px), 0.1 * max(width, height)) / 2
        distance = float(np.linalg.norm(centre_px - torso[:, :2].mean(axis=0))) / half_torso_px
    elif x <= centre_px[0] <= x + width and y <= centre_px[1] <= y + height:
        distance = math.hypot(centre_px[0] - x - width / 2, centre_px[1] - y - height / 2) / math.hypot(
            width, height
        )
    else:
        return math.inf
    return distance if distance < 1 else math.inf


def on_somebody(centre_px: np.ndarray, people: tuple[Annotated, ...], margin_px: float = 5) -> bool:
    """Say whether a centre lies in any annotated box, crowds included."""
    return any((person.box[:2] - margin_px <= centre_px).all() and (centre_px <= person.box[:2] + person.box[2:] + margin_px).all()
               for person in people)  # fmt: skip


def evaluate_photos(
    predictions: Mapping[str, PoseFrame], photos: Photos, skeleton: Skeleton
) -> list[dict[str, Any]]:
    """Return the rows all, >=96 and <96 of protocol "tiny-coco".

    Args:
        predictions: the people found, by file name; a missing name counts as nobody found.
        photos: what is annotated.
        skeleton: of the predictions; must have the twelve body joints.

    Returns:
        Rows with `protocol`, `subset`, `people`, `centre_recall`, `oks_people`, `oks50`, `oks75`, `mean_oks`, `pck20` (fractions;
        None where nobody is in the subset) and, in row "all", `predictions` and `off_person`.
    """
    unknown = set(predictions) - set(photos.people)
    if unknown:
        raise PosecError(
            f"predictions for pictures that are not annotated: {', '.join(sorted(unknown)[:3])}; use the names of the annotations"
        )
    judged: list[Judged] = []
    off_person = 0
    for name, people in photos.people.items():
        scored = [person for person in people if person.scored]
        found = predictions.get(name)
        if found is None or not len(found):
            judged += [_missed(person) for person in scored]
            continue
        judged += _judge(found, scored, skeleton)
        off_person += sum(not on_somebody(centre, people) for centre in found.centres_px.astype(np.float64))
    rows = [
        _row("all", judged),
        _row(f">={TALL_PX}", [person for person in judged if person.height_px >= TALL_PX]),
        _row(f"<{TALL_PX}", [person for person in judged if person.height_px < TALL_PX]),
    ]
    rows[0].update(predictions=sum(len(found) for found in predictions.values()), off_person=off_person)
    return rows


def _missed(person: Annotated) -> Judged:
    """Return how a person fares for whom nothing was predicted."""
    asked = int((person.joints[BODY, 2] > 0).sum())
    return Judged(float(person.box[3]), False, asked > 0, 0.0, asked if _diagonal_px(person) else 0, 0)


def _diagonal_px(person: Annotated) -> float:
    """Return the length of the first torso diagonal that is labelled, 0 where none is."""
    for shoulder, hip in DIAGONALS:
        if person.joints[shoulder, 2] > 0 and person.joints[hip, 2] > 0:
            return float(np.linalg.norm(person.joints[shoulder, :2] - person.joints[hip, :2]))
    return 0.0


def _judge(found: PoseFrame, scored: list[Annotated], skeleton: Skeleton) -> list[Judged]:
    """Return how every scored person of one picture fares."""
    joints_px, centres_px = body_joints_px(found, skeleton), found.centres_px.astype(np.float64)
    similar = np.full((len(scored), len(found)), np.nan)
    distances = np.full(similar.shape, math.inf)
    for row, person in enumerate(scored):
        body = person.joints[BODY]
        for column in range(len(found)):
            similar[row, column] = oks(
                joints_px[column], body[:, :2], body[:, 2] > 0, person.area, COCO_SIGMAS[BODY]
            )
            distances[row, column] = centre_distance(centres_px[column], person)
    best = dict(nearest_first(np.where(np.isnan(similar), np.inf, -similar)))
    hits = dict(nearest_first(distances))
    judged = []
    for row, person in enumerate(scored):
        missed = _missed(person)._replace(centre_hit=row in hits)
        if row in best:
            labelled = person.joints[BODY, 2] > 0
            near = np.linalg.norm(
                joints_px[best[row]] - person.joints[BODY, :2], axis=1
            ) < PCK_DIAGONAL * _diagonal_px(person)
            missed = missed._replace(
                oks=float(similar[row, best[row]]), joints_near=int((near & labelled).sum())
            )
        judged.append(missed)
    return judged


def _row(subset: str, judged: list[Judged]) -> dict[str, Any]:
    similar = np.array([person.oks for person in judged if person.has_body])
    joints = sum(person.joints for person in judged)
    return {
        "protocol": TINY_COCO, "subset": subset, "people": len(judged), "oks_people": len(similar),
        "centre_recall": sum(person.centre_hit for person in judged) / len(judged) if judged else None,
        "oks50": float((similar >= 0.5).mean()) if len(similar) else None,
        "oks75": float((similar >= 0.75).mean()) if len(similar) else None,
        "mean_oks": float(similar.mean()) if len(similar) else None,
        "pck20": sum(person.joints_near for person in judged) / joints if joints else None,
    }  # fmt: skip
