"""The labels of the people in one picture, and their transformation under flips and similarities.

Pixels: the centre of the top-left pixel is (0, 0). Poses: the frame of the viewing ray, x right, y down, z
away. There weak perspective holds: pixel = pelvis_px + px_per_m * joint_m.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from ...errors import PosecError
from ...runtime.pose import MUPOTS17

BODY_KEYPOINTS = 12
# Left and right shoulder, elbow, wrist, hip, knee and ankle: COCO key points 5 to 16.
KEYPOINT_MIRROR = [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10]
SIDES = ("left", "right")
KEYPOINT_JOINTS = [
    MUPOTS17.index(f"{side}_{part}")
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in SIDES
]
STATURE_M = 1.7
# People with fewer visible key points or smaller ones have no usable pose; their positions are ignored, not
# empty.
MIN_VISIBLE_KEYPOINTS = 4
MIN_STATURE_PX = 24.0

# Names in label files that differ from the attributes of People.
STORED_NAMES = {"visible": "seen"}

Region = tuple[int, int, int, int]


@dataclass(frozen=True)
class People:
    """N people.

    Attributes:
        boxes: (N, 4) x0, y0, x1, y1 in pixels.
        embedding, embedding_mirrored: (N, E) of the pose and of its mirror image.
        rotation: (N, 3, 3) x, y, z axes of the torso as columns.
        px_per_m: (N,) pixels per metre at the pelvis.
        pelvis_px: (N, 2).
        joints_m: (N, 17, 3) of the reference skeleton, pelvis at 0.
        keypoints_px: (N, 12, 2) of the body, in COCO's order.
        visible: (N, 12) 1 where the key point is known and inside the picture.
        residual: (N,) mean distance from projected joints_m to keypoints_px, in half box sizes.
        usable: (N,) False where only the position of a person is known.
        exact: (N,) True where the pose is ground truth, False where it is fitted.
    """

    boxes: np.ndarray
    embedding: np.ndarray
    embedding_mirrored: np.ndarray
    rotation: np.ndarray
    px_per_m: np.ndarray
    pelvis_px: np.ndarray
    joints_m: np.ndarray
    keypoints_px: np.ndarray
    visible: np.ndarray
    residual: np.ndarray
    usable: np.ndarray
    exact: np.ndarray

    def __len__(self) -> int:
        return len(self.px_per_m)

    @property
    def centres_px(self) -> np.ndarray:
        """The projected midpoint of neck and pelvis (N, 2)."""
        neck = self.joints_m[:, MUPOTS17.index("neck"), :2]
        return self.pelvis_px + 0.5 * self.px_per_m[:, None] * neck

    @property
    def statures_px(self) -> np.ndarray:
        """The height of the person in the picture (N,) when standing, px."""
        return STATURE_M * self.px_per_m

    def select(self, which: np.ndarray | slice) -> People:
        """Return the people at an index, mask or slice."""
        return People(*(getattr(self, field.name)[which] for field in fields(self)))

    def mirrored(self, width: int) -> People:
        """Return the labels after a horizontal flip of a picture of this width.

        Left and right limbs are exchanged.
        """
        flip = np.array([-1, 1, 1], np.float32)
        across = np.array([width - 1, 0], np.float32)
        boxes = self.boxes.copy()
        boxes[:, [0, 2]] = width - 1 - self.boxes[:, [2, 0]]
        return replace(
            self,
            boxes=boxes,
            embedding=self.embedding_mirrored,
            embedding_mirrored=self.embedding,
            rotation=self.rotation * np.outer(flip, flip),
            pelvis_px=across + self.pelvis_px * flip[:2],
            joints_m=(self.joints_m * flip)[:, list(MUPOTS17.mirror)],
            keypoints_px=(across + self.keypoints_px * flip[:2])[:, KEYPOINT_MIRROR],
            visible=self.visible[:, KEYPOINT_MIRROR],
        )

    def moved(self, similarity: np.ndarray) -> People:
        """Return the labels after a similarity (2, 3) of the picture."""
        linear, shift = similarity[:, :2], similarity[:, 2]
        scale = float(np.sqrt(np.linalg.det(linear)))
        turn = np.eye(3, dtype=np.float32)
        turn[:2, :2] = linear / scale
        corners = self.boxes[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2) @ linear.T + shift
        return replace(
            self,
            boxes=np.concatenate([corners.min(1), corners.max(1)], 1).astype(np.float32),
            rotation=(turn @ self.rotation).astype(np.float32),
            px_per_m=(self.px_per_m * scale).astype(np.float32),
            pelvis_px=(self.pelvis_px @ linear.T + shift).astype(np.float32),
            joints_m=(self.joints_m @ turn.T).astype(np.float32),
            keypoints_px=(self.keypoints_px @ linear.T + shift).astype(np.float32),
        )

    def clipped(self, region: Region) -> People:
        """Return the people with centres in the region (x0, y0, x1, y1).

        Key points outside it become invisible.
        """
        visible = (self.visible * within(self.keypoints_px, region)).astype(np.float32)
        usable = self.usable & (visible.sum(1) >= MIN_VISIBLE_KEYPOINTS) & (self.statures_px > MIN_STATURE_PX)
        return replace(self, visible=visible, usable=usable).select(within(self.centres_px, region))


def within(points_px: np.ndarray, region: Region) -> np.ndarray:
    """Return the mask (...,) of points (..., 2) inside a region (x0, y0, x1, y1), x1 and y1 excluded."""
    x0, y0, x1, y1 = region
    x, y = points_px[..., 0], points_px[..., 1]
    return (x > x0 - 0.5) & (x < x1 - 0.5) & (y > y0 - 0.5) & (y < y1 - 0.5)


def concatenate(groups: Sequence[People]) -> People:
    """Return the people of all groups; there must be at least one group."""
    return People(
        *(np.concatenate([getattr(group, field.name) for group in groups]) for field in fields(People))
    )


def no_people(embedding_size: int = 32) -> People:
    """Return an instance without people."""

    def empty(*shape: int) -> np.ndarray:
        return np.zeros((0, *shape), np.float32)

    return People(
        boxes=empty(4),
        embedding=empty(embedding_size),
        embedding_mirrored=empty(embedding_size),
        rotation=empty(3, 3),
        px_per_m=empty(),
        pelvis_px=empty(2),
        joints_m=empty(17, 3),
        keypoints_px=empty(BODY_KEYPOINTS, 2),
        visible=empty(BODY_KEYPOINTS),
        residual=empty(),
        usable=np.zeros(0, bool),
        exact=np.zeros(0, bool),
    )


def read_people(path: Path, exact: bool = False) -> dict[str, People]:
    """Return the labelled people of every picture of a label file, by the name of the picture.

    The .npz holds `names` (P,), `ptr` (P + 1,) and the arrays of People, with `visible` stored as `seen`. The
    people of picture i are rows ptr[i]:ptr[i + 1]. Raises PosecError where an array is missing or has another
    length.

    Args:
        path: the label file.
        exact: for all people, where the file has no array `exact`.
    """
    if not path.is_file():
        raise PosecError(f"no labels at '{path}'; write them with `posec train labels` first")
    stored_as = {field.name: STORED_NAMES.get(field.name, field.name) for field in fields(People)}
    with np.load(path, allow_pickle=False) as stored:
        required = [name for name in stored_as.values() if name != "exact"]
        missing = [name for name in ("names", "ptr", *required) if name not in stored.files]
        if missing:
            raise PosecError(f"labels '{path}' lack {', '.join(missing)}; found: {', '.join(stored.files)}")
        names, starts = [str(name) for name in stored["names"]], stored["ptr"]
        arrays = {name: stored[key] for name, key in stored_as.items() if key in stored.files}
    arrays.setdefault("exact", np.full(len(arrays["usable"]), exact))
    lengths = sorted({len(array) for array in arrays.values()})
    if len(starts) != len(names) + 1 or lengths != [int(starts[-1])]:
        sizes = f"{len(names)} names, {len(starts)} starts, arrays of {lengths}"
        raise PosecError(f"labels '{path}' contradict themselves: {sizes}")
    typed = {
        name: array.astype(bool if name in ("usable", "exact") else np.float32)
        for name, array in arrays.items()
    }
    all_people = People(**typed)
    spans = zip(names, starts[:-1], starts[1:], strict=True)
    return {name: all_people.select(slice(int(first), int(last))) for name, first, last in spans}
