"""Labelled pictures with 3D poses in sequences, whatever the layout of their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import PosecError
from ...runtime.pose import PoseFrame, Skeleton
from ..pictures import read_picture


@dataclass(frozen=True)
class LabelledFrame:
    """The true people of one picture.

    Attributes:
        file: of the picture, relative to the data set's folder.
        sequence: name of its sequence.
        index: number of the frame in its sequence.
        focal_px: focal length in pixels of the picture.
        people: (N) in the joints of the data set's skeleton; joints are relative to the pelvis, in the camera
            frame. A joint without a label is NaN.
        numbers: (N,) int; a person keeps its number in a sequence.
        universal_mm: (N, J, 3) poses of normalised height, relative to the pelvis; None without such labels.
    """

    file: str
    sequence: str
    index: int
    focal_px: float
    people: PoseFrame
    numbers: np.ndarray
    universal_mm: np.ndarray | None = None


@dataclass(frozen=True)
class DataSet:
    """A data set.

    Attributes:
        protocol: name of its protocol, see `protocols`.
        source: folder.
        skeleton: of its people.
        frames: with at least one true person each, by sequence.
    """

    protocol: str
    source: Path
    skeleton: Skeleton
    frames: tuple[LabelledFrame, ...]

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray, float | None]]:
        """Yield (file, BGR picture, focal length in its pixels), read as they come."""
        return ((frame.file, read_picture(self.source, frame.file), frame.focal_px) for frame in self.frames)


def data_set(
    protocol: str, source: str | Path, skeleton: Skeleton, frames: list[LabelledFrame], advice: str
) -> DataSet:
    """Return a data set. Raises PosecError without frames."""
    if not frames:
        raise PosecError(f"no labelled people of {protocol} in '{source}'; {advice}")
    return DataSet(protocol, Path(source), skeleton, tuple(frames))


def people_of(joints_mm: np.ndarray, joints_px: np.ndarray, skeleton: Skeleton) -> PoseFrame:
    """Return people from joints (N, J, 3) in the camera frame and (N, J, 2) in the picture.

    Their centres are the mean of neck and pelvis.
    """
    root = skeleton.index("pelvis")
    roots_mm = joints_mm[:, root]
    centres_px = joints_px[:, [skeleton.index("neck"), root]].mean(axis=1)
    return PoseFrame(
        np.ones(len(joints_mm), np.float32),
        centres_px.astype(np.float32),
        (joints_mm - roots_mm[:, None]).astype(np.float32),
        roots_mm.astype(np.float32),
        joints_px.astype(np.float32),
    )


def skeleton_of(parents: Mapping[str, str]) -> Skeleton:
    """Return a skeleton from joint → parent, "" for the root. Bones have length 1: protocols use none.

    Joints are listed so that a parent comes before its children.
    """
    names = tuple(parents)
    mirrored = [_mirrored(name) for name in names]
    return Skeleton(
        names,
        tuple(names.index(parent) if parent else -1 for parent in parents.values()),
        tuple(index for index, parent in enumerate(parents.values()) if parent),
        (1.0,) * (len(names) - 1),
        tuple(names.index(name) for name in mirrored),
    )


def _mirrored(name: str) -> str:
    side, _, rest = name.partition("_")
    return {"left": f"right_{rest}", "right": f"left_{rest}"}.get(side, name)


def focal_length(joints_mm: np.ndarray, joints_px: np.ndarray) -> float:
    """Return the focal length in pixels of a pinhole camera, by least squares.

    Of data sets that ship joints (N, J, 3) in the camera frame and their projections (N, J, 2), but no
    intrinsics: x = f X / Z + c. Raises ValueError where the joints do not determine it.
    """
    points, pixels = joints_mm.reshape(-1, 3).astype(np.float64), joints_px.reshape(-1, 2).astype(np.float64)
    known = np.isfinite(points).all(axis=1) & np.isfinite(pixels).all(axis=1) & (points[:, 2] > 1)
    rays = points[known, :2] / points[known, 2:]
    if len(rays) < 3:
        raise ValueError("fewer than three joints lie before the camera")
    rays, goal = rays - rays.mean(axis=0), pixels[known] - pixels[known].mean(axis=0)
    focal_px = float((rays * goal).sum() / max((rays * rays).sum(), 1e-12))
    if not 10 < focal_px < 1e5:
        raise ValueError(f"joints and their projections give a focal length of {focal_px:.3g} px")
    return focal_px


def numbers_in(values: object, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return an array of numbers (float64) of a shape. Raises ValueError naming it."""
    array = np.asarray(values)
    if array.dtype.kind not in "iufb" or array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, not {shape}")
    return array.astype(np.float64)
