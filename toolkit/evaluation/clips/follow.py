"""Match tracked people to true people over the frames of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...device.matching import nearest_first, torsos_px
from ...runtime.pose import PoseFrame, Skeleton
from ...runtime.tracking.people_over_time import TrackedPeople
from ..joints import in_joints, with_centres
from .clip_file import LabelledClip

WITHIN_TORSOS = 0.5
LEAST_VISIBLE = 0.25


@dataclass(frozen=True)
class Followed:
    """A clip of T frames with P true people of J joints, and what was found of them.

    Attributes:
        fps: frames per second.
        truth_mm: (T, P, J, 3) relative to the pelvis.
        found_mm: (T, P, J, 3) relative to the pelvis, NaN where a person was not found.
        numbers: (T, P) int of the tracks; 0 where a person was not found.
        scored: (T, P) bool, True where at least LEAST_VISIBLE of a person is visible.
        is_bridged: (T, P) bool, True where a person was found without a detection.
        false_tracks: number of tracks that are of no true person in most of their frames.
    """

    fps: float
    truth_mm: np.ndarray
    found_mm: np.ndarray
    numbers: np.ndarray
    scored: np.ndarray
    is_bridged: np.ndarray
    false_tracks: int


def follow(
    found: Sequence[TrackedPeople],
    clip: LabelledClip,
    *,
    skeleton: Skeleton,
    centre_joints: Sequence[str],
    names: Sequence[str],
) -> Followed:
    """Return a clip with the people found in each of its frames.

    Pairs are one-to-one in each frame, and centres are less than WITHIN_TORSOS true torsos apart. A true
    person keeps its track of the frame before if possible (Bernardin and Stiefelhagen, 2008); the others are
    paired nearest first, people who are hardly visible last.

    Args:
        found: the people of each frame.
        clip: the truth.
        skeleton: of the people found.
        centre_joints: their centres are the mean of these joints.
        names: joints to compare; they include the pelvis.
    """
    frames, people = len(clip.frames), len(clip.frames[0].people)
    truth_mm = np.full((frames, people, len(names), 3), np.nan)
    found_mm, numbers = truth_mm.copy(), np.zeros((frames, people), int)
    is_bridged = np.zeros((frames, people), bool)
    last, hits = [0] * people, {}  # type: list[int], dict[int, list[bool]]
    for index, (tracked, scene) in enumerate(zip(found, clip.frames)):
        mine = with_centres(tracked.people, skeleton, centre_joints)
        pairs = _pairs(
            mine,
            tracked.numbers.tolist(),
            scene.people,
            skeleton=clip.skeleton,
            last=last,
            visible=scene.visible,
        )
        truth_mm[index] = in_joints(scene.people, clip.skeleton, names, root="pelvis").joints_mm
        joints_mm = in_joints(mine, skeleton, names, root="pelvis").joints_mm
        for row, person in pairs:
            found_mm[index, person] = joints_mm[row]
            numbers[index, person] = last[person] = int(tracked.numbers[row])
            is_bridged[index, person] = tracked.bridged[row]
        hit = {row for row, _ in pairs}
        for row, number in enumerate(tracked.numbers.tolist()):
            hits.setdefault(number, []).append(row in hit)
    return Followed(
        fps=clip.fps,
        truth_mm=truth_mm,
        found_mm=found_mm,
        numbers=numbers,
        scored=np.array([scene.visible >= LEAST_VISIBLE for scene in clip.frames]).reshape(frames, people),
        is_bridged=is_bridged,
        false_tracks=sum(2 * sum(frames_hit) < len(frames_hit) for frames_hit in hits.values()),
    )


def _pairs(
    mine: PoseFrame,
    numbers: list[int],
    truth: PoseFrame,
    *,
    skeleton: Skeleton,
    last: Sequence[int],
    visible: np.ndarray,
) -> list[tuple[int, int]]:
    """Return pairs (found, true) of one frame; `last` has the last number of each true person, or 0."""
    if not len(mine) or not len(truth):
        return []
    apart_px = np.linalg.norm(mine.centres_px[:, None].astype(np.float64) - truth.centres_px[None], axis=-1)
    costs = apart_px / np.maximum(torsos_px(truth, skeleton), 1e-9)
    costs[costs >= WITHIN_TORSOS] = np.inf
    is_kept = np.array([[number == before for before in last] for number in numbers])
    # Costs are below 1, so that all pairs of a rank come before those of the next.
    ranks = np.where(is_kept, 0, np.where(visible >= LEAST_VISIBLE, 1, 2))
    return nearest_first(costs + ranks)
