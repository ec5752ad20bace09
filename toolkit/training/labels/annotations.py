"""Key points as humans marked them, in the teacher's place where there are any: weak supervision, variant W of the learning.

They become a teacher's file, so that all that follows is as without them.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ...errors import PosecError
from ...evaluation.photos import Annotated, read_photos
from .label_pictures import KEYPOINTS
from .labels import Labels, read_teacher, write_labels

# The teacher's box that overlaps a marked one so far is of the same person.
SAME_PERSON = 0.3


def human_keypoints(annotated: Mapping[str, Sequence[Annotated]], teacher: Labels | None = None) -> Labels:
    """Return people as humans marked them, in the arrays of a teacher's file, see `labels.read_teacher`.

    A point that was marked has confidence 1, whether it can be seen or not. Of people without points, of crowds, and of whom the teacher
    found beside those that were marked, only the box is known: their place teaches nothing, neither a pose nor that nobody is there.

    Args:
        annotated: people by picture, as `evaluation.photos.read_photos` reads them.
        teacher: what a teacher says, of these pictures and of others, which stay as they are; None for nothing.
    """
    people = {name: [_marked(person) for person in found] for name, found in annotated.items()}
    if teacher is not None:
        rows = zip(teacher["names"].tolist(), teacher["ptr"][:-1], teacher["ptr"][1:], strict=True)
        for name, first, last in rows:
            boxes, points = teacher["boxes"][first:last], teacher["kpts"][first:last]
            if name in annotated:
                marked = np.array([box for box, _ in people[name]]).reshape(-1, 4)
                boxes = boxes[overlaps(boxes, marked).max(1, initial=0) < SAME_PERSON]
                points = np.zeros((len(boxes), KEYPOINTS, 3))
            people.setdefault(name, []).extend(zip(boxes, points, strict=True))
    everybody = [person for found in people.values() for person in found]
    return {
        "names": np.array(list(people)),
        "ptr": np.cumsum([0, *(len(found) for found in people.values())]).astype(np.int32),
        "boxes": np.array([box for box, _ in everybody], np.float32).reshape(-1, 4),
        "kpts": np.array([points for _, points in everybody], np.float32).reshape(-1, KEYPOINTS, 3),
    }


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return intersection over union (N, M) of boxes (N, 4) with others (M, 4), all x0, y0, x1, y1."""
    low, high = np.maximum(boxes[:, None, :2], others[:, :2]), np.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = (high - low).clip(min=0).prod(-1)
    areas, other_areas = ((part[:, 2:] - part[:, :2]).prod(1) for part in (boxes, others))
    return np.asarray(shared / np.maximum(areas[:, None] + other_areas - shared, 1e-9))


def _marked(person: Annotated) -> tuple[np.ndarray, np.ndarray]:
    """Return a person's box x0, y0, x1, y1 and key points (17, 3): x, y, and 1 where marked."""
    x, y, width, height = person.box
    marked = person.scored * (person.joints[:, 2:] > 0)
    return np.array([x, y, x + width, y + height]), np.hstack([person.joints[:, :2] * marked, marked])


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a teacher's file of human annotations from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train annotations",
        description="Put people's key points as humans marked them in the teacher's place, for `posec train labels`.",
        epilog="example: posec train annotations --coco person_keypoints.json --teacher photos.npz --out marked.npz",
    )
    parser.add_argument("--coco", type=Path, required=True, help="COCO key point file (.json)")
    parser.add_argument(
        "--teacher", type=Path, help="the teacher's .npz: of people and pictures that no human annotated"
    )
    parser.add_argument("--out", type=Path, required=True, help=".npz file to write")
    chosen = parser.parse_args(arguments)
    if not chosen.out.parent.is_dir():
        raise PosecError(f"no folder '{chosen.out.parent}' to write '{chosen.out.name}' into; make it first")
    annotated = read_photos(chosen.coco, chosen.coco.parent).people
    labels = human_keypoints(annotated, None if chosen.teacher is None else read_teacher(chosen.teacher))
    write_labels(chosen.out, labels)
    marked = sum(len(found) for found in annotated.values())
    print(
        f"wrote {chosen.out}: {marked} annotated people in {len(annotated)} pictures, {len(labels['kpts']) - marked} that the teacher found"
    )


if __name__ == "__main__":
    main()
