"""Duplicates: detections of one person at two cells of the centre map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Duplicates:
    """Limits at which two detections are one person; lengths are in torsos of the better one, which stays.

    Attributes:
        centre_torsos: detections of like size with centres nearer than this are one person. Two people side
            by side stand a shoulder's width apart, 0.7 torsos. One behind the other, they differ in size, or
            one hides the other.
        size_ratio: sizes are alike below this ratio; a child before an adult may share the adult's centre.
        joints_torsos: detections with a smaller mean joint distance are one person, wherever their centres
            are. A wide peak of the centre map yields the same limbs from two of its cells. The limbs of two
            people in one place differ.
    """

    centre_torsos: float = 0.35
    size_ratio: float = 2.0
    joints_torsos: float = 0.28


def distinct(
    centres: np.ndarray, joints: np.ndarray, torsos_px: np.ndarray, *, duplicates: Duplicates
) -> np.ndarray:
    """Return (N,) bool: False for duplicates of a better detection that stays.

    Args:
        centres: (N, 2) of detections, best first.
        joints: (N, 2, J) in the same picture.
        torsos_px: (N,) lengths of the torsos in that picture.
        duplicates: limits at which two detections are one person.
    """
    count = len(centres)
    stays = np.ones(count, bool)
    if count < 2:
        return stays
    # The mean joint distance is at least the distance of the means: a cheap test for most pairs.
    points = np.empty((2, 2, count), np.float32)
    points[0] = centres.T
    np.divide(np.add.reduce(joints, axis=2).T, joints.shape[2], out=points[1])
    limits = np.array([[duplicates.centre_torsos], [duplicates.joints_torsos]], np.float32) * torsos_px
    apart = points[..., None] - points[:, :, None]  # (2, 2, N, N)
    apart *= apart
    near = apart[:, 0] + apart[:, 1] < np.square(limits)[..., None]
    near.reshape(2, -1)[:, :: count + 1] = False  # a detection is no duplicate of itself
    if not near.any():
        return stays
    logs = np.log(torsos_px)
    same = near[0] & (np.abs(logs[:, None] - logs) < np.log(duplicates.size_ratio))
    first, second = np.nonzero(near[1])
    first, second = first[first < second], second[first < second]
    if len(first):
        difference = joints[first] - joints[second]
        same[first, second] |= np.sqrt((difference * difference).sum(axis=1)).mean(-1) < limits[1, first]
    for better in np.flatnonzero(same.any(axis=1)):
        if stays[better]:
            stays[better + 1 :] &= ~same[better, better + 1 :]
    return stays
