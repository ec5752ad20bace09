"""Key points from their heads: peaks of heat moved by their offsets, and their assignment to people."""

from __future__ import annotations

from functools import lru_cache
from typing import Mapping, NamedTuple, Tuple, Union

import cv2
import numpy as np

from ..errors import HeadError
from ..pose import PoseSpec
from .kinematics import small_products

_LEAST_PULL = 1e-3
_NOTHING = np.float32(1e-30)


class Keypoints(NamedTuple):
    """P key points of all people in a picture.

    Attributes:
        kinds: (P,) int, ascending; kind k is the k-th of `KeypointGrid.joints` that the skeleton has.
        points: (P, 2) float32, x and y in pixels of the network's input.
        heat: (P,) float32 in 0..1.
    """

    kinds: np.ndarray
    points: np.ndarray
    heat: np.ndarray


def find_keypoints(heads: Mapping[str, np.ndarray], spec: PoseSpec, least_heat: float) -> Keypoints:
    """Return the peaks of heat above `least_heat` of the key points that are joints of the skeleton.

    A peak is a cell that none of its eight neighbours exceeds. Raises HeadError for non-finite values.

    Args:
        heads: head name → (C, h, w) float32; those of key points are read.
        spec: must have `keypoints`.
        least_heat: 0..1.
    """
    grid = spec.keypoints
    assert grid is not None
    channels = _channels(grid.joints)
    heat = _contiguous(heads["keypoints"][_as_slice(channels)])
    kinds, rows, columns = _peaks(heat, least_heat)
    offsets, channel = heads["keypoint_offset"], channels[kinds]
    points = np.empty((len(kinds), 2), np.float32)
    np.add(columns, offsets[channel, rows, columns], out=points[:, 0], casting="same_kind")
    np.add(rows, offsets[channel + len(grid.joints), rows, columns], out=points[:, 1], casting="same_kind")
    if not np.isfinite(np.add.reduce(points, axis=None)):
        raise HeadError(
            "head 'keypoint_offset' is not finite where a key point is; the arithmetic overflowed: "
            "build with float32"
        )
    points *= grid.stride
    points += grid.cell_origin_px
    return Keypoints(kinds, points, heat[kinds, rows, columns])


@lru_cache(maxsize=8)
def _channels(joints: Tuple[str, ...]) -> np.ndarray:
    """Return the channels of key points that are joints of the skeleton."""
    return np.array([channel for channel, joint in enumerate(joints) if joint])


def _as_slice(channels: np.ndarray) -> Union[slice, np.ndarray]:
    """Return ascending channels as a slice if they are consecutive, which avoids a copy."""
    first, last = int(channels[0]), int(channels[-1])
    return slice(first, last + 1) if last - first + 1 == len(channels) else channels


def _contiguous(maps: np.ndarray) -> np.ndarray:
    """Return maps (C, h, w) in the order of memory; TFLite gives views of (h, w, C)."""
    if maps.flags.c_contiguous:
        return maps
    count, height, width = maps.shape
    cells = np.ascontiguousarray(maps.transpose(1, 2, 0)).reshape(-1, count)
    return cv2.transpose(cells).reshape(count, height, width)


class _Cells(NamedTuple):
    """Cells of maps (C, h, w), each array (P,) int, in the order of memory."""

    maps: np.ndarray
    rows: np.ndarray
    columns: np.ndarray


def _peaks(heat: np.ndarray, least_heat: float) -> _Cells:
    """Return the peaks of maps (C, h, w). Raises HeadError for NaN."""
    height, width = heat.shape[1:]
    flat = heat.reshape(-1)
    if not np.isfinite(np.maximum.reduce(flat)):  # the maximum of numbers and NaN is NaN
        raise HeadError(
            "head 'keypoints' is not finite somewhere; the arithmetic overflowed: build with float32"
        )
    hot = np.flatnonzero(flat > least_heat)
    lines, columns = np.divmod(hot, width)
    maps, rows = np.divmod(lines, height)
    # The cell itself stands in for neighbours beyond the border.
    near = np.empty((3, len(hot)), hot.dtype)
    np.subtract(hot, (rows > 0) * width, out=near[0])
    near[1] = hot
    np.add(hot, (rows < height - 1) * width, out=near[2])
    around = flat[near]
    np.maximum(around, flat[near - (columns > 0)], out=around)
    np.maximum(around, flat[near + (columns < width - 1)], out=around)
    is_peak = flat[hot] >= np.maximum.reduce(around, axis=0)
    return _Cells(maps[is_peak], rows[is_peak], columns[is_peak])


class Matches(NamedTuple):
    """Key points of N people; joint k is the k-th of `KeypointGrid.joints` that the skeleton has.

    Attributes:
        targets: (N, 2, K) float32, place of a joint's key point in the input; the joint's where `pull` is 0.
        pull: (N, K) float32 in 0..1.
    """

    targets: np.ndarray
    pull: np.ndarray


def match_keypoints(
    at: np.ndarray, reach_px: np.ndarray, keypoints: Keypoints, *, least_heat: float
) -> Matches:
    """Return target positions of joints and the pull of key points; both are continuous in the inputs.

    A hard assignment would switch key points at small changes of the heads, such as rounding to int8.
    Instead every key point within reach pulls, with Tukey's biweight of the distance.
    People who compete for a key point, and key points for a joint, share by the fourth power of the pull.

    Args:
        at: (N, 2, K) float32, expected joints of N people, in pixels of the input.
        reach_px: (N, K) largest distance of a key point.
        keypoints: of the picture.
        least_heat: heat at which the pull is 0.
    """
    kinds, count = keypoints.kinds, at.shape[2]
    if not len(kinds):
        return Matches(at, np.zeros((len(at), count), np.float32))
    strength = np.maximum((keypoints.heat - least_heat) / (1 - least_heat), 0)
    # People are the last axis, P key points the first: rows of memory are then taken whole.
    expected = np.ascontiguousarray(at.transpose(2, 1, 0))[kinds]
    away = keypoints.points[..., None] - expected  # (P, 2, N)
    squares = away * away
    pull = squares[:, 0] + squares[:, 1]
    pull /= np.square(reach_px.T)[kinds]
    np.subtract(1, pull, out=pull)
    np.maximum(pull, 0, out=pull)
    pull *= pull
    pull *= strength[:, None]
    claim = pull * pull
    claim *= claim
    pull *= claim
    pull *= claim
    pull /= np.maximum(np.add.reduce(claim, axis=1, keepdims=True), _NOTHING)
    parts = np.empty((4, len(kinds), len(at)), np.float32)
    np.multiply(away[:, 0], pull, out=parts[0])
    np.multiply(away[:, 1], pull, out=parts[1])
    parts[2], parts[3] = pull, claim
    # Sums (4, K, N) over the key points of a kind: of x, of y, of the pull, and of the claim.
    sums = small_products((kinds == np.arange(count)[:, None]).astype(np.float32), parts)
    total = sums[2] / np.maximum(sums[3], _NOTHING)
    total *= total > _LEAST_PULL
    off = sums[:2] / np.maximum(sums[2], _NOTHING)
    off *= total > 0
    return Matches(at + off.transpose(2, 0, 1), total.T)
