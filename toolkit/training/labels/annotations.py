"""Weak supervision: human 2D annotations replace the detections of the teacher.

The result has the format of a teacher's file, so all later stages work as before.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import PosecError
from ...evaluation.photos import Annotated, read_photos
from ...runtime.command.refusals import exit_status
from .label_files import Labels, read_teacher, write_labels
from .teacher import KEYPOINTS

# Minimum intersection over union of a teacher's box and an annotated box of the same person.
SAME_PERSON_IOU = 0.3


class _Person(NamedTuple):
    box: np.ndarray  # (4,) x0, y0, x1, y1
    keypoints: np.ndarray  # (17, 3) x, y, confidence


def human_keypoints(annotated: Mapping[str, Sequence[Annotated]], teacher: Labels | None = None) -> Labels:
    """Return human annotations in the arrays of a teacher's file, see `label_files.read_teacher`.

    An annotated key point has confidence 1, whether it is visible or not. People without key points and
    crowds keep only their box, and so do detections of the teacher that match no annotation. Such boxes are
    neither a pose nor background.

    Args:
        annotated: people by picture, see `evaluation.photos.read_photos`.
        teacher: detections of the same and of other pictures; other pictures stay unchanged.
    """
    people = {name: [_annotated_person(person) for person in group] for name, group in annotated.items()}
    if teacher is not None:
        rows = zip(teacher["names"].tolist(), teacher["ptr"][:-1], teacher["ptr"][1:], strict=True)
        for name, first, last in rows:
            boxes, points = teacher["boxes"][first:last], teacher["kpts"][first:last]
            if name in annotated:
                marked = np.array([person.box for person in people[name]]).reshape(-1, 4)
                boxes = boxes[overlaps(boxes, marked).max(1, initial=0) < SAME_PERSON_IOU]
                points = np.zeros((len(boxes), KEYPOINTS, 3))
            detections = [_Person(box, point) for box, point in zip(boxes, points, strict=True)]
            people.setdefault(name, []).extend(detections)
    all_people = [person for group in people.values() for person in group]
    boxes = np.array([person.box for person in all_people], np.float32).reshape(-1, 4)
    keypoints = np.array([person.keypoints for person in all_people], np.float32)
    return {
        "names": np.array(list(people)),
        "ptr": np.cumsum([0, *(len(group) for group in people.values())]).astype(np.int32),
        "boxes": boxes,
        "kpts": keypoints.reshape(-1, KEYPOINTS, 3),
    }


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the intersection over union (N, M) of boxes (N, 4) and others (M, 4), all x0, y0, x1, y1."""
    low, high = np.maximum(boxes[:, None, :2], others[:, :2]), np.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = (high - low).clip(min=0).prod(-1)
    areas, other_areas = ((part[:, 2:] - part[:, :2]).prod(1) for part in (boxes, others))
    return np.asarray(shared / np.maximum(areas[:, None] + other_areas - shared, 1e-9))


def _annotated_person(person: Annotated) -> _Person:
    """Return the box and the key points of an annotated person; key points that were not marked are 0."""
    x, y, width, height = person.box
    marked = person.scored * (person.joints[:, 2:] > 0)
    keypoints = np.hstack([person.joints[:, :2] * marked, marked])
    return _Person(np.array([x, y, x + width, y + height]), keypoints)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `posec train annotations`."""
    parser = argparse.ArgumentParser(
        prog="posec train annotations",
        description="Replace the teacher's key points by human annotations, for `posec train labels`.",
        epilog="example: posec train annotations --coco keypoints.json --teacher photos.npz --out marked.npz",
    )
    parser.add_argument("--coco", type=Path, required=True, help="COCO key point file (.json)")
    parser.add_argument("--teacher", type=Path, help=".npz of the teacher's detections, for all other people")
    parser.add_argument("--out", type=Path, required=True, help=".npz file to write")
    chosen = parser.parse_args(arguments)
    if not chosen.out.parent.is_dir():
        raise PosecError(f"no folder '{chosen.out.parent}' to write '{chosen.out.name}' into; make it first")
    annotated = read_photos(chosen.coco, chosen.coco.parent).people
    labels = human_keypoints(annotated, None if chosen.teacher is None else read_teacher(chosen.teacher))
    write_labels(chosen.out, labels)
    marked = sum(len(people) for people in annotated.values())
    added = len(labels["kpts"]) - marked
    counts = f"{marked} annotated people in {len(annotated)} pictures, {added} detections of the teacher"
    print(f"wrote {chosen.out}: {counts}")


if __name__ == "__main__":
    sys.exit(exit_status(main))
