"""People annotated in COCO's key point format, and their pictures.

Optional fields have defaults: `iscrowd` is 0, `num_keypoints` is the number of labelled key points, `bbox` is
their extent, and an `area` that is missing or 0 is 0.53 of the box, as in the evaluation of CrowdPose and AI
Challenger. Key points go by the names in the file's categories; without names they are COCO's 17.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PosecError
from ..runtime.files.plain_json import read_json
from .pictures import read_picture

COCO_JOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
BODY = np.arange(5, 17)  # COCO's joints from the left shoulder to the right ankle
BODY_NAMES = COCO_JOINTS[5:]
AREA_OF_BOX = 0.53
KIND = "a COCO key point file"
MOST_BYTES = 512 << 20


@dataclass(frozen=True)
class Annotated:
    """One annotated person, in pixels of the picture.

    Attributes:
        box: x, y, width, height.
        joints: (17, 3) x, y and visibility of COCO's key points.
        area: of the outline.
        scored: whether a prediction is expected; not for crowds and people without key points.
    """

    box: np.ndarray
    joints: np.ndarray
    area: float
    scored: bool


@dataclass(frozen=True)
class Photos:
    """Annotated photos: `people` by file name, and the folder or tar file of the pictures."""

    people: Mapping[str, tuple[Annotated, ...]]
    source: Path

    def __len__(self) -> int:
        return len(self.people)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray, float | None]]:
        """Yield (name, BGR picture, None: the focal length is not known), read as they come."""
        return ((name, read_picture(self.source, name), None) for name in self.people)


def read_photos(annotations: str | Path, pictures: str | Path) -> Photos:
    """Read a COCO key point file; `pictures` is the folder or tar file of its pictures.

    Raises PosecError, which names the image or annotation, for any other file and for contradictions in it.
    """
    plain = read_json(annotations, most_bytes=MOST_BYTES, error=PosecError, advice=f"give {KIND} (.json)")
    try:
        names = _file_names(plain)
        joints = _joints_by_category(plain.get("categories", []))
        people: dict[str, list[Annotated]] = {name: [] for name in names.values()}
        for number, entry in enumerate(_list_of(plain, "annotations")):
            try:
                if names.get(entry["image_id"]) is None:
                    raise ValueError(f"there is no image {entry['image_id']!r:.40}")
                person = _person(entry, joints)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
                raise ValueError(f"annotation {number}: {reason}") from error
            if person is not None:
                people[names[entry["image_id"]]].append(person)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PosecError(
            f"'{annotations}' is not {KIND}: {error}; it needs images and annotations with key points"
        ) from error
    return Photos({name: tuple(found) for name, found in people.items()}, Path(pictures))


def _list_of(plain: Any, name: str) -> Sequence[Any]:
    values = plain.get(name) if isinstance(plain, dict) else None
    if not isinstance(values, list):
        raise ValueError(f"it has no list '{name}'")
    return values


def _file_names(plain: Any) -> dict[Any, str]:
    """Return the file name of each image by its id."""
    names: dict[Any, str] = {}
    for number, image in enumerate(_list_of(plain, "images")):
        if (
            not isinstance(image, dict)
            or not isinstance(image.get("file_name"), str)
            or not isinstance(image.get("id"), (int, str))
        ):
            raise ValueError(f"image {number} needs an id and a file_name")
        names[image["id"]] = image["file_name"]
    if len(set(names.values())) < len(plain["images"]):
        raise ValueError("two images have the same id or file_name")
    return names


def _joints_by_category(categories: Any) -> dict[Any, tuple[str, ...]]:
    """Return category id → names of its key points, empty for other objects, which have no body joint.

    Raises ValueError where categories have key points, and none is a body joint.
    """
    if not isinstance(categories, list):
        raise ValueError("its categories are no list")
    joints = {category["id"]: tuple(map(_name, category.get("keypoints") or ())) for category in categories}
    of_people = {key: names for key, names in joints.items() if set(names) & set(BODY_NAMES)}
    if any(joints.values()) and not of_people:
        named = next(names for names in joints.values() if names)
        raise ValueError(
            f"no key point of its categories is a body joint such as left_shoulder: {', '.join(named)}"
        )
    return {key: of_people.get(key, ()) for key in joints}


def _name(keypoint: Any) -> str:
    return str(keypoint).strip().lower().replace(" ", "_").replace("-", "_")


def _person(entry: Mapping[str, Any], joints_by_category: Mapping[Any, tuple[str, ...]]) -> Annotated | None:
    """Return an annotated person, or None for other objects and for people without box and key points."""
    names = joints_by_category.get(entry.get("category_id"))
    if names == () and ("keypoints" not in entry or any(joints_by_category.values())):
        return None
    joints = _joints(entry.get("keypoints") or [], names or COCO_JOINTS)
    labelled = joints[joints[:, 2] > 0, :2]
    box = _numbers(entry.get("bbox") or [0, 0, 0, 0], "bbox", 4)
    if min(box[2:]) < 0:
        raise ValueError(f"its bbox {box.tolist()} has a negative size")
    if not box[2:].all() and len(labelled):
        box = np.concatenate([labelled.min(axis=0), np.ptp(labelled, axis=0)])
    (area,) = _numbers([entry.get("area") or 0], "area", 1)
    area = float(area) if area > 0 else AREA_OF_BOX * float(box[2] * box[3])
    if not len(labelled) and not box[2:].any():
        return None
    count = entry.get("num_keypoints")
    return Annotated(
        box,
        joints,
        area,
        bool(area > 0 and (len(labelled) if count is None else count > 0) and not entry.get("iscrowd")),
    )


def _joints(keypoints: Any, names: Sequence[str]) -> np.ndarray:
    """Return COCO's key points (17, 3): x, y and visibility, 0 for those that the file lacks."""
    joints = np.zeros((len(COCO_JOINTS), 3))
    if not len(keypoints):
        return joints
    stated = _numbers(keypoints, "keypoints", 3 * len(names)).reshape(-1, 3)
    for name, point in zip(names, stated):
        if name in COCO_JOINTS:
            joints[COCO_JOINTS.index(name)] = point
    return joints


def _numbers(values: Any, name: str, count: int) -> np.ndarray:
    array = np.asarray(values, np.float64).ravel()
    if len(array) != count:
        raise ValueError(f"its {name} has {len(array)} numbers, not {count}")
    if not np.isfinite(array).all():
        raise ValueError(f"its {name} has a number that is not finite")
    return array
