"""People that the compiled network moved far, and the kind of their move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...runtime.pose import Skeleton
from .drift_parts import Moved

MOST_MOVED = 12
SWAPPED, MIRRORED, ONE_LIMB, WHOLE_BODY = (
    "left and right swapped",
    "mirrored in depth",
    "one limb",
    "whole body",
)
_EXPLAINED = 0.6  # share of the drift that a swap or mirror image may leave
_SINGLED_OUT = 2.0  # times the mean distance of the other joints


def farthest(moved: Sequence[Moved], most: int = MOST_MOVED) -> tuple[Moved, ...]:
    """Return the people with the largest drift, the farthest first."""
    return tuple(sorted(moved, key=lambda person: -person.drift_mm)[:most])


def move_of(
    found_mm: np.ndarray, truth_mm: np.ndarray, skeleton: Skeleton, *, frame: int, height_px: float
) -> Moved:
    """Return the move between two pelvis-relative poses (J, 3) of one person."""
    apart_mm = np.linalg.norm(found_mm - truth_mm, axis=1)
    joint = int(apart_mm.argmax())
    return Moved(
        frame=frame,
        height_px=height_px,
        drift_mm=float(apart_mm.mean()),
        joint=skeleton.names[joint],
        joint_mm=float(apart_mm[joint]),
        cause=cause_of(found_mm, truth_mm, skeleton),
    )


def cause_of(found_mm: np.ndarray, truth_mm: np.ndarray, skeleton: Skeleton) -> str:
    """Return the kind of a move between two poses (J, 3) in the camera frame.

    It is a swap or a mirror image where that alone leaves at most 60 % of the drift. One limb: the three
    joints that moved most moved at least twice as far as the mean of the others.
    """
    apart_mm = np.linalg.norm(found_mm - truth_mm, axis=1)
    drift_mm = apart_mm.mean()
    images = {
        SWAPPED: truth_mm[list(skeleton.mirror)],
        MIRRORED: truth_mm * np.array([1, 1, -1], truth_mm.dtype),
    }
    remains = {
        cause: float(np.linalg.norm(found_mm - image, axis=1).mean()) for cause, image in images.items()
    }
    cause = min(remains, key=lambda name: remains[name])
    if remains[cause] <= _EXPLAINED * drift_mm:
        return cause
    ordered = np.sort(apart_mm)
    return ONE_LIMB if ordered[-3:].mean() >= _SINGLED_OUT * ordered[:-3].mean() else WHOLE_BODY
