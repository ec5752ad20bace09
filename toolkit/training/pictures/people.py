"""The labels of the people in one picture, and what flips and similarities do to them.

Frame of reference: picture pixels (the centre of the top-left pixel is (0, 0)) and, for poses, the viewing ray's axes
(x right, y down, z away), in which weak perspective holds: pixel = pelvis_px + px_per_m * joint_m.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from ...errors import PosecError
from ...runtime.pose import MUPOTS17

BODY_KEYPOINTS = 12
# left and right shoulder, elbow, wrist, hip, knee, ankle: entries 5..16 of COCO
KEYPOINT_MIRROR = [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10]
SIDES = ("left", "right")
KEYPOINT_JOINTS = [
    MUPOTS17.index(f"{side}_{part}")
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in SIDES
]
STATURE_M = 1.7
# Fewer visible joints, or a person this small, cannot teach a pose; the place is then ignored rather than called empty.
MIN_VISIBLE = 4
MIN_STATURE_PX = 24.0

Region = tuple[int, int, int, int]


@dataclass(frozen=True)
class People:
    """N people.

    Attributes:
        boxes: (N, 4) x0, y0, x1, y1 in pixels.
        embedding, embedding_mirrored: (N, E) of the pose and of its mirror image.
        rotation: (N, 3, 3) the torso's x, y, z axes as columns.
        px_per_m: (N,) pixels per metre at the person.
        pelvis_px: (N, 2).
        joints_m: (N, 17, 3) of the reference skeleton, pelvis at 0.
        keypoints_px: (N, 12, 2) of the body, in COCO's order.
        seen: (N, 12) 1 where the keypoint is known and inside the picture.
        residual: (N,) misfit of joints_m to keypoints_px, in half box sizes.
        usable: (N,) False where only the place of a person is known.
        exact: (N,) True where the pose is known rather than fitted.
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
        """(N, 2) the mean of neck and pelvis, projected."""
        neck = self.joints_m[:, MUPOTS17.index("neck"), :2]
        return self.pelvis_px + 0.5 * self.px_per_m[:, None] * neck

    @property
    def statures_px(self) -> np.ndarray:
        """(N,) how high the person would stand in the picture."""
        return STATURE_M * self.px_per_m

    def select(self, which: np.ndarray | slice) -> People:
        """Return the people at an index, mask or slice."""
        return People(*(getattr(self, field.name)[which] for field in fields(self)))

    def mirrored(self, width: int) -> People:
        """Return the people of the picture of this width, flipped left to right; left limbs become right limbs."""
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
        """Return the people after a similarity (2, 3) of the picture: turned about the viewing axis, scaled, shifted."""
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
        """Return those whose centre lies in the region (x0, y0, x1, y1), with the keypoints outside it unseen."""
        inside = within(self.keypoints_px, region)
        seen = (self.visible * inside).astype(np.float32)
        usable = self.usable & (seen.sum(1) >= MIN_VISIBLE) & (self.statures_px > MIN_STATURE_PX)
        return replace(self, seen=seen, usable=usable).select(within(self.centres_px, region))


def within(points_px: np.ndarray, region: Region) -> np.ndarray:
    """Return which points (..., 2) lie on the pixels of a region (x0, y0, x1, y1), x1 and y1 excluded."""
    x0, y0, x1, y1 = region
    x, y = points_px[..., 0], points_px[..., 1]
    return (x > x0 - 0.5) & (x < x1 - 0.5) & (y > y0 - 0.5) & (y < y1 - 0.5)


def concatenate(groups: Sequence[People]) -> People:
    """Return the people of all groups, at least one."""
    return People(
        *(np.concatenate([getattr(group, field.name) for group in groups]) for field in fields(People))
    )


def no_people(embedding_size: int = 32) -> People:
    """Return no people."""
    shapes: dict[str, tuple[int, ...]] = {"boxes": (4,), "embedding": (embedding_size,), "embedding_mirrored": (embedding_size,),
              "rotation": (3, 3), "px_per_m": (), "pelvis_px": (2,), "joints_m": (17, 3), "keypoints_px": (BODY_KEYPOINTS, 2),
              "seen": (BODY_KEYPOINTS,), "residual": ()}  # fmt: skip
    return People(
        **{name: np.zeros((0, *shape), np.float32) for name, shape in shapes.items()},
        usable=np.zeros(0, bool),
        exact=np.zeros(0, bool),
    )


def read_people(path: Path, exact: bool = False) -> dict[str, People]:
    """Return the labelled people of every picture of a label file, by the picture's name.

    The .npz holds `names` (P,), `ptr` (P + 1,): the people of picture i are rows ptr[i]:ptr[i + 1] of the arrays named as
    the attributes of People. Where it lacks `exact`, the argument says it for all. Raises PosecError where one is missing or of another length.
    """
    if not path.is_file():
        raise PosecError(f"no labels at '{path}'; write them with toolkit.training.labels.label_people first")
    wanted = [field.name for field in fields(People) if field.name != "exact"]
    with np.load(path, allow_pickle=False) as stored:
        missing = [name for name in ("names", "ptr", *wanted) if name not in stored.files]
        if missing:
            raise PosecError(f"labels '{path}' lack {', '.join(missing)}; found: {', '.join(stored.files)}")
        names, starts = [str(name) for name in stored["names"]], stored["ptr"]
        arrays = {name: stored[name] for name in wanted}
        arrays["exact"] = (
            stored["exact"] if "exact" in stored.files else np.full(len(arrays["usable"]), exact)
        )
    lengths: list[int] = [len(array) for array in arrays.values()]
    if len(starts) != len(names) + 1 or set(lengths) != {int(starts[-1])}:
        raise PosecError(
            f"labels '{path}' contradict themselves: {len(names)} names, {len(starts)} starts, arrays of {sorted(set(lengths))}"
        )
    everyone = People(
        **{
            name: array.astype(bool if name in ("usable", "exact") else np.float32)
            for name, array in arrays.items()
        }
    )
    return {
        name: everyone.select(slice(int(a), int(b)))
        for name, a, b in zip(names, starts[:-1], starts[1:], strict=True)
    }
