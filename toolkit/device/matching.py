"""Match found people to true people one-to-one, nearest first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..runtime.pose import PoseFrame, Skeleton
from .comparison.drift_parts import Moved, Stray
from .comparison.moved import move_of


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
    focal length. 0 for a person with all joints on one point.
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


class Matched(NamedTuple):
    """People without a match, and the distances of the matched ones."""

    lost: list[Stray]
    invented: list[Stray]
    drifts_mm: list[float]
    shifts_px: list[float]
    roots_mm: list[float]
    moved: list[Moved]


def match_frames(found: list[PoseFrame], truth: list[PoseFrame], skeleton: Skeleton) -> Matched:
    """Return the matches of the people that two networks found on the same pictures."""
    matched = Matched([], [], [], [], [], [])
    for frame, mine in enumerate(found):
        theirs = truth[frame]
        pairs = match_people(mine, theirs, skeleton)
        matched.lost.extend(_strays(frame, theirs, {pair[1] for pair in pairs}))
        matched.invented.extend(_strays(frame, mine, {pair[0] for pair in pairs}))
        heights = heights_px(theirs)
        for a, b in pairs:
            move = move_of(
                mine.joints_mm[a],
                theirs.joints_mm[b],
                skeleton,
                frame=frame,
                height_px=float(heights[b]),
            )
            matched.moved.append(move)
            matched.drifts_mm.append(move.drift_mm)
            matched.shifts_px.append(float(np.linalg.norm(mine.centres_px[a] - theirs.centres_px[b])))
            matched.roots_mm.append(float(np.linalg.norm(mine.roots_mm[a] - theirs.roots_mm[b])))
    return matched


def _strays(frame: int, people: PoseFrame, matched: set[int]) -> list[Stray]:
    heights = heights_px(people)
    return [
        Stray(frame, float(people.scores[i]), float(heights[i]))
        for i in range(len(people))
        if i not in matched
    ]
