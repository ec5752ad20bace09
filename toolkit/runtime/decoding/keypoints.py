"""Where joints are, as the heads of key points say it: peaks of heat, each moved by its offset; and whose they are."""

from __future__ import annotations

from functools import lru_cache
from typing import Mapping, NamedTuple, Tuple, Union

import numpy as np

from ..errors import HeadError
from ..pose import PoseSpec

_LEAST_PULL = 1e-3
_NOTHING = np.float32(1e-20)


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

    A peak is a cell that none of its eight neighbours exceeds. Raises HeadError where heat or the offset of a peak is not finite.

    Args:
        heads: head name → (C, h, w) float32; those of key points are read.
        spec: what they mean; must have `keypoints`.
        least_heat: 0..1.
    """
    grid = spec.keypoints
    assert grid is not None
    channels = _channels(grid.joints)
    heat = np.ascontiguousarray(heads["keypoints"][_as_slice(channels)])
    cells = _peaks(heat, least_heat)
    size = heat.shape[1] * heat.shape[2]
    kinds, inside = np.divmod(cells, size)
    rows, columns = np.divmod(inside, heat.shape[2])
    flat = heads["keypoint_offset"].reshape(-1)
    x = flat[channels[kinds] * size + inside]
    y = flat[(channels[kinds] + len(grid.joints)) * size + inside]
    if not np.isfinite(x.sum() + y.sum()):
        raise HeadError(
            "head 'keypoint_offset' is not finite where a key point is; the arithmetic overflowed: build with float32"
        )
    points = np.empty((len(cells), 2), np.float32)
    np.add(columns, x, out=points[:, 0], casting="same_kind")
    np.add(rows, y, out=points[:, 1], casting="same_kind")
    points *= grid.stride
    points += grid.cell_origin_px
    return Keypoints(kinds, points, heat.reshape(-1)[cells])


@lru_cache(maxsize=8)
def _channels(joints: Tuple[str, ...]) -> np.ndarray:
    """Return the channels of key points that are joints of the skeleton."""
    return np.array([channel for channel, joint in enumerate(joints) if joint])


def _as_slice(channels: np.ndarray) -> Union[slice, np.ndarray]:
    """Return ascending channels as a slice where they follow each other: numpy then copies nothing."""
    first, last = int(channels[0]), int(channels[-1])
    return slice(first, last + 1) if last - first + 1 == len(channels) else channels


def _peaks(heat: np.ndarray, least_heat: float) -> np.ndarray:
    """Return the flat indices, ascending, of the peaks of maps (C, h, w). Raises HeadError where heat is not a number."""
    height, width = heat.shape[1:]
    if not np.isfinite(heat.max()):  # the maximum of numbers and NaN is NaN
        raise HeadError(
            "head 'keypoints' is not finite somewhere; the arithmetic overflowed: build with float32"
        )
    lines = heat.reshape(-1, width)
    is_warm = np.zeros(len(lines), bool)
    is_warm[np.flatnonzero(heat > least_heat) // width] = True
    warm = np.flatnonzero(is_warm)  # the few lines that hold key points
    row = warm % height
    own = lines[warm]
    around = np.maximum(lines[warm - (row > 0)], lines[warm + (row < height - 1)])
    np.maximum(around, own, out=around)
    sideways = np.maximum(around[:, 1:], around[:, :-1])
    around[:, :-1] = np.maximum(around[:, :-1], sideways)
    around[:, 1:] = np.maximum(around[:, 1:], sideways)
    line, column = np.divmod(np.flatnonzero((own >= around) & (own > least_heat)), width)
    return warm[line] * width + column


def match_keypoints(
    at: np.ndarray, reach_px: np.ndarray, keypoints: Keypoints, least_heat: float
) -> Tuple[np.ndarray, np.ndarray]:
    """Return where key points pull joints, and how strongly; neither jumps when something moves a little.

    Hard choices would: integers shift heat and offsets by a trifle, and a joint would turn to another key point. So every key point
    within reach pulls, less with distance, by Tukey's biweight; where people contend for a key point, or key points for a joint,
    they share by the fourth power of the pull, so that the best has nearly all.

    Args:
        at: (N, K, 2) where the joints of N people are thought to be, pixels of the input.
        reach_px: (N, K) how far from there a key point may be.
        keypoints: of the picture.
        least_heat: a key point of this heat does not pull.

    Returns:
        Where the joints are pulled to (N, K, 2), `at` where nothing pulls; and the pull (N, K) in 0..1.
    """
    if not len(keypoints.kinds):
        return at, np.zeros(at.shape[:2], np.float32)
    table = _table(keypoints, at.shape[1])  # (3, K, M)
    strength = np.maximum(0, (table[2] - least_heat) / (1 - least_heat))
    table[2] = 1
    away = at.transpose(2, 0, 1)[..., None] - table[:2, None]  # (2, N, K, M)
    away *= away
    pull = away[0]
    pull += away[1]
    pull /= np.square(reach_px)[..., None]
    np.subtract(1, pull, out=pull)
    np.maximum(pull, 0, out=pull)
    pull *= pull
    pull *= strength
    claim = np.square(np.square(pull))
    pull *= claim / np.maximum(np.add.reduce(claim, axis=0), _NOTHING)
    pull *= claim / np.maximum(np.add.reduce(claim, axis=2), _NOTHING)[..., None]
    sums = np.einsum("nkm,ckm->nkc", pull, table)  # of x, of y, and of the pull itself
    total = sums[..., 2]
    pulled = total > _LEAST_PULL
    towards = sums[..., :2] / np.maximum(total, _NOTHING)[..., None]
    return np.where(pulled[..., None], towards, at), total * pulled


def _table(keypoints: Keypoints, kinds: int) -> np.ndarray:
    """Return x, y and heat (3, K, M) of the key points of each of K kinds, M of the commonest kind, heat 0 beyond their number."""
    counts = np.bincount(keypoints.kinds, minlength=kinds)
    first = np.cumsum(counts) - counts
    table = np.zeros((3, kinds, counts.max()), np.float32)
    place = (keypoints.kinds, np.arange(len(keypoints.kinds)) - first[keypoints.kinds])
    table[0][place], table[1][place], table[2][place] = (
        keypoints.points[:, 0],
        keypoints.points[:, 1],
        keypoints.heat,
    )
    return table
