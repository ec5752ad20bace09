"""Where joints are, as the heads of key points say it: peaks of heat, each moved by its offset; and whose they are."""

from __future__ import annotations

from typing import Mapping, NamedTuple, Tuple

import cv2
import numpy as np

from ..errors import HeadError
from ..pose import PoseSpec

_LEAST_PULL = 1e-3
_NOTHING = np.float32(1e-20)
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
        raise HeadError(
            "head 'keypoints' is not finite somewhere; the arithmetic overflowed: build with float32"
        )
    highest = cv2.dilate(heat, _NEIGHBOURHOOD).reshape(heat.shape)  # cv2 drops the axis of a single channel
    rows, columns, kinds = np.nonzero((heat >= highest) & (heat > least_heat))
    offsets = heads["keypoint_offset"][
        np.stack([channels[kinds], channels[kinds] + len(grid.joints)]), rows, columns
    ]
    if not np.isfinite(offsets.sum()):
        raise HeadError(
            "head 'keypoint_offset' is not finite where a key point is; the arithmetic overflowed: build with float32"
        )
    points = grid.cell_origin_px + grid.stride * (np.stack([columns, rows]) + offsets)
    return Keypoints(kinds, points.T.astype(np.float32), heat[rows, columns, kinds])


def match_keypoints(
    at: np.ndarray, reach_px: np.ndarray, seen: Keypoints, least_heat: float
) -> Tuple[np.ndarray, np.ndarray]:
    """Return which way key points pull joints, and how strongly; neither jumps when something moves a little.

    Hard choices would: integers shift heat and offsets by a trifle, and a joint would turn to another key point. So every key point
    within reach pulls, less with distance, by Tukey's biweight; where people contend for a key point, or key points for a joint,
    they share by the fourth power of the pull, so that the best has nearly all.

    Args:
        at: (N, K, 2) where the joints of N people are thought to be, pixels of the input.
        reach_px: (N, K) how far from there a key point may be.
        seen: the key points of the picture.
        least_heat: a key point of this heat does not pull.

    Returns:
        Where the joints are pulled to (N, K, 2), `at` where nothing pulls; and the pull (N, K) in 0..1.
    """
    away = at[:, seen.kinds] - seen.points
    nearness = np.maximum(0, 1 - (away * away).sum(axis=-1) / np.square(reach_px[:, seen.kinds]))
    pull = nearness * nearness * np.maximum(0, (seen.heat - least_heat) / (1 - least_heat))
    claim = np.square(np.square(pull))
    of_kind = (seen.kinds[:, None] == np.arange(at.shape[1])).astype(np.float32)  # (P, K)
    rivals = np.maximum(claim.sum(axis=0), _NOTHING), np.maximum((claim @ of_kind)[:, seen.kinds], _NOTHING)
    pull = pull * (claim / rivals[0]) * (claim / rivals[1])
    total = pull @ of_kind
    towards = (
        np.stack([(pull * seen.points[:, axis]) @ of_kind for axis in (0, 1)], axis=-1)
        / np.maximum(total, _NOTHING)[..., None]
    )
    pulled = total > _LEAST_PULL
    return np.where(pulled[..., None], towards, at), total * pulled
