"""Match found people to true people one-to-one, nearest first."""

from __future__ import annotations

import numpy as np

from ..runtime.pose import PoseFrame, Skeleton


def nearest_first(costs: np.ndarray) -> list[tuple[int, int]]:
    """Return one-to-one pairs (row, column) of a cost matrix, cheapest first; an infinite cost never pairs.

    Equal costs go to the lower row, then the lower column, so the pairs do not depend on a sorting algorithm.
    """
    pairs: list[tuple[int, int]] = []
    rows: set[int] = set()
    columns: set[int] = set()
    for flat in np.argsort(costs, axis=None, kind="stable"):
        row, column = divmod(int(flat), costs.shape[1])
        if not np.isfinite(costs[row, column]):
            break
        if row not in rows and column not in columns:
            pairs.append((row, column))
            rows.add(row)
            columns.add(column)
    return pairs


def pixels_per_mm(people: PoseFrame) -> np.ndarray:
    """Return (N,) picture pixels per millimetre of each person.

    The ratio of the spreads of `joints_px` and of x, y of `joints_mm`. Exact for a scaled orthographic
    projection in the middle of the picture, approximate at its border and for people at close range. Needs no
    focal length. 0 for a person whose joints fall on one point.
    """
    spread_px = people.joints_px.astype(np.float64).std(axis=1)
    spread_mm = people.joints_mm[..., :2].astype(np.float64).std(axis=1)
    return np.linalg.norm(spread_px, axis=1) / np.maximum(np.linalg.norm(spread_mm, axis=1), 1e-9)


def torsos_px(people: PoseFrame, skeleton: Skeleton) -> np.ndarray:
    """Return (N,) length from pelvis to neck in picture pixels, without foreshortening."""
    neck, pelvis = skeleton.index("neck"), skeleton.index("pelvis")
    return np.linalg.norm(people.joints_mm[:, neck] - people.joints_mm[:, pelvis], axis=1) * pixels_per_mm(
        people
    )


def heights_px(people: PoseFrame) -> np.ndarray:
    """Return (N,) the height of the box around each person's joints, in picture pixels."""
    if not len(people):
        return np.zeros(0)
    return np.asarray(np.ptp(people.joints_px[..., 1].astype(np.float64), axis=1))


def match_people(
    found: PoseFrame, truth: PoseFrame, skeleton: Skeleton, *, within_torsos: float = 0.5
) -> list[tuple[int, int]]:
    """Return pairs (found, true) of people of one picture, one-to-one, nearest centres first.

    Centres of a pair are less than `within_torsos` torsos of the true person apart.
    """
    if not len(found) or not len(truth):
        return []
    apart_px = np.linalg.norm(found.centres_px[:, None].astype(np.float64) - truth.centres_px[None], axis=-1)
    torsos = apart_px / np.maximum(torsos_px(truth, skeleton), 1e-9)
    return nearest_first(np.where(torsos < within_torsos, torsos, np.inf))
