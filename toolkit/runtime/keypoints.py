"""Where joints are, as the heads of key points say it: peaks of heat, each moved by its offset; and whose they are."""

from __future__ import annotations

from typing import Mapping, NamedTuple, Tuple

import cv2
import numpy as np

from .errors import HeadError
from .pose import PoseSpec

_NEIGHBOURHOOD = np.ones((3, 3), np.uint8)


class Keypoints(NamedTuple):
    """P key points of all people in a picture.

    Attributes:
        kinds: (P,) int; kind k is the k-th of the key points that are joints of the skeleton, in the order of `KeypointGrid.joints`.
        points: (P, 2) float32, x and y in pixels of the network's input.
        heat: (P,) float32 in 0..1.
    """

    kinds: np.ndarray
    points: np.ndarray
    heat: np.ndarray


def find_keypoints(heads: Mapping[str, np.ndarray], spec: PoseSpec, least_heat: float) -> Keypoints:
    """Return the peaks of heat above `least_heat` of the key points that are joints of the skeleton.

    A peak is a cell that none of its eight neighbours exceeds. Raises HeadError where heat or the offset of a peak is not finite.

    Args:
        heads: head name → (C, h, w) float32; those of key points are read.
        spec: what they mean; must have `keypoints`.
        least_heat: 0..1.
    """
    grid = spec.keypoints
    assert grid is not None
    channels = np.array([channel for channel, joint in enumerate(grid.joints) if joint])
    heat = np.ascontiguousarray(heads["keypoints"][channels].transpose(1, 2, 0))
    if not np.isfinite(heat.sum()):
        raise HeadError("head 'keypoints' is not finite somewhere; the arithmetic overflowed: build with float32")
    highest = cv2.dilate(heat, _NEIGHBOURHOOD).reshape(heat.shape)  # cv2 drops the axis of a single channel
    rows, columns, kinds = np.nonzero((heat >= highest) & (heat > least_heat))
    offsets = heads["keypoint_offset"][np.stack([channels[kinds], channels[kinds] + len(grid.joints)]), rows, columns]
    if not np.isfinite(offsets.sum()):
        raise HeadError("head 'keypoint_offset' is not finite where a key point is; the arithmetic overflowed: build with float32")
    points = grid.cell_origin_px + grid.stride * (np.stack([columns, rows]) + offsets)
    return Keypoints(kinds, points.T.astype(np.float32), heat[rows, columns, kinds])


def match_keypoints(at: np.ndarray, reach_px: np.ndarray, seen: Keypoints, heat_counts: float) -> Tuple[np.ndarray, np.ndarray]:
    """Give key points to joints, the best pairs first; a key point belongs to one person, a joint has one key point.

    Args:
        at: (N, K, 2) where the joints of N people are thought to be, pixels of the input.
        reach_px: (N, K) how far from there a key point may be.
        seen: the key points of the picture.
        heat_counts: a key point of heat 1 counts as nearer than one of heat 0 by so many reaches.

    Returns:
        Where the joints' key points are (N, K, 2), `at` where there is none; and their heat (N, K), 0 where there is none.
    """
    targets, heat = at.copy(), np.zeros(at.shape[:2], np.float32)
    away = at[:, seen.kinds] - seen.points
    reaches = np.sqrt((away * away).sum(-1)) / reach_px[:, seen.kinds]
    people, points = np.nonzero(reaches < 1)
    best = np.argsort(reaches[people, points] - heat_counts * seen.heat[points], kind="stable")
    taken = set()
    for person, point, kind in zip(people[best].tolist(), points[best].tolist(), seen.kinds[points[best]].tolist()):
        if point not in taken and not heat[person, kind]:
            taken.add(point)
            targets[person, kind], heat[person, kind] = seen.points[point], seen.heat[point]
    return targets, heat
