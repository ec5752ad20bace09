"""Duplicates: detections of one person at two cells of the centre map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Duplicates:
    """When two detections are one person; the better one stays. Lengths are in torsos of the better one.

    Attributes:
        centre_torsos: detections of like size with centres nearer than this are one person. Two people side by
            side stand a shoulder's width apart, 0.7 torsos. One behind the other, they differ in size, or one
            hides the other.
        size_ratio: sizes are alike below this ratio; a child before an adult may share the adult's centre.
        joints_torsos: detections with a smaller mean joint distance are one person, wherever their centres are.
            A wide peak of the centre map yields the same limbs from two of its cells. The limbs of two people in
            one place differ.
    """

    centre_torsos: float = 0.35
    size_ratio: float = 2.0
    joints_torsos: float = 0.28


def distinct(
    centres: np.ndarray, joints: np.ndarray, px_per_mm: np.ndarray, *, torso_mm: float, duplicates: Duplicates
) -> np.ndarray:
    """Return (N,) bool: False for duplicates of a better detection that stays.

    Args:
        centres: (N, 2) of detections, best first.
        joints: (N, J, 2) in the same picture.
        px_per_mm: (N,) scale of the bodies in that picture.
        torso_mm: length of the skeleton's torso.
        duplicates: when two detections are one person.
    """
    count = len(centres)
    stays = np.ones(count, bool)
    if count < 2:
        return stays
    # The mean distance of joints is at least the distance of their means: a cheap test that excludes most pairs.
    points = np.stack([centres, joints.sum(axis=1) / joints.shape[1]])
    torsos_px = torso_mm * px_per_mm
    limits = np.array([[duplicates.centre_torsos], [duplicates.joints_torsos]], np.float32) * torsos_px
    apart = points[:, :, None] - points[:, None]
    apart *= apart
    near = apart[..., 0] + apart[..., 1] < np.square(limits)[..., None]
    near.reshape(2, -1)[:, :: count + 1] = False  # a detection is no duplicate of itself
    if not near.any():
        return stays
    logs = np.log(px_per_mm)
    same = near[0] & (np.abs(logs[:, None] - logs) < np.log(duplicates.size_ratio))
    first, second = np.nonzero(near[1])
    first, second = first[first < second], second[first < second]
    if len(first):
        difference = joints[first] - joints[second]
        same[first, second] |= np.sqrt((difference * difference).sum(-1)).mean(-1) < limits[1, first]
    for better in np.flatnonzero(same.any(axis=1)):
        if stays[better]:
            stays[better + 1 :] &= ~same[better, better + 1 :]
    return stays
