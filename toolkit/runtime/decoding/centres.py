"""The peaks of a centre map, each counted once."""

from __future__ import annotations

from typing import Tuple

import cv2
import numpy as np

_NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)


def find_centres(heat: np.ndarray, threshold: float, most: int = 64) -> Tuple[np.ndarray, np.ndarray]:
    """Return the peaks of a centre map, best first.

    A peak is a plateau of one or more equal cells, joined by sides or corners, without a higher neighbour.
    It counts once, at the cell nearest its middle; of equally near cells the first in raster order. Integer
    maps tie often, and a 3x3 maximum test alone finds both ends of a plateau, and the shoulders of a slope.

    Args:
        heat: (h, w) float32 scores.
        threshold: a peak must exceed this.
        most: return at most this many.

    Returns:
        cells (N, 2) int, row then column, and scores (N,) float32. Equal scores keep raster order. N may be
        0.
    """
    around = cv2.dilate(heat, _NEIGHBOURS)  # the highest of the eight neighbours
    is_candidate = (heat >= around) & (heat > threshold)
    cells = np.flatnonzero(is_candidate)
    scores = heat.reshape(-1)[cells]
    if (scores == around.reshape(-1)[cells]).any():
        cells = _one_per_plateau(heat, is_candidate, cells)
        scores = heat.reshape(-1)[cells]
    best = np.argsort(-scores, kind="stable")[:most]
    places = np.empty((len(best), 2), cells.dtype)
    np.divmod(cells[best], heat.shape[1], out=(places[:, 0], places[:, 1]))
    return places, scores[best]


def _one_per_plateau(heat: np.ndarray, is_candidate: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Return one cell per peak, in raster order, from the flat indices of all 3x3 maxima."""
    rows, columns = np.divmod(cells, heat.shape[1])
    padded = cv2.copyMakeBorder(heat, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=-np.inf)
    stride = padded.shape[1]
    around = ((rows + 1) * stride + columns + 1)[:, None] + np.array(
        [-stride - 1, -stride, -stride + 1, -1, 1, stride - 1, stride, stride + 1]
    )
    ties = padded.reshape(-1)[around] == heat.reshape(-1)[cells][:, None]
    count, labels = cv2.connectedComponents(is_candidate.view(np.uint8), connectivity=8)
    plateau = labels.reshape(-1)[cells]
    # A plateau with a higher neighbour has cells that are no 3x3 maxima, next to its other cells.
    inner = cv2.copyMakeBorder(is_candidate.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0).reshape(
        -1
    )[around]
    slope = np.zeros(count, bool)
    slope[plateau[(ties & (inner == 0)).any(axis=1)]] = True
    size = np.maximum(np.bincount(plateau, minlength=count), 1)
    off_middle = (rows - (np.bincount(plateau, rows, count) / size)[plateau]) ** 2
    off_middle += (columns - (np.bincount(plateau, columns, count) / size)[plateau]) ** 2
    order = np.lexsort((cells, off_middle.round(6), plateau))
    first = order[np.r_[True, np.diff(plateau[order]) > 0]]
    return np.sort(cells[first[~slope[plateau[first]]]])
