"""The course of one joint of one person over time, for a plot: true, and as each filter returns it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...runtime.pose import Skeleton
from .clip_file import LabelledClip
from .follow import Followed

JOINTS = ("right_wrist", "left_wrist", "right_ankle", "left_ankle")
AXES = ("x", "y", "z")
MOST_FRAMES = 240


def course_of(
    followed: Mapping[str, Sequence[Followed]], clips: Sequence[LabelledClip], skeleton: Skeleton
) -> dict[str, Any] | None:
    """Return the course of the joint that moves most, of a person found by all filters in most frames.

    Among the clips of the highest frame rate; None without such a person.

    Args:
        followed: of each filter, by name, one per clip.
        clips: the truth.
        skeleton: of the followed joints.

    Returns:
        `clip`, `fps`, `joint`, `axis`, `seconds` (T), `truth_mm` (T) and `found_mm`: filter → (T) with None
        where the person was not found. Positions are relative to the pelvis, in the camera frame.
    """
    names = [name for name in JOINTS if name in skeleton.names]
    rate = max(clip.fps for clip in clips)
    best, chosen = -1.0, None
    for index, clip in enumerate(clips):
        for person in range(len(clip.frames[0].people)) if clip.fps == rate and names else ():
            runs = [runs[index].numbers[:, person] > 0 for runs in followed.values()]
            truth = next(iter(followed.values()))[index].truth_mm[:, person]
            for name in names:
                spread = truth[:, skeleton.index(name)].std(axis=0)
                value = float(min(run.mean() for run in runs) ** 4 * spread.max())
                if value > best:
                    best, chosen = value, (index, person, name, int(spread.argmax()))
    if chosen is None:
        return None
    index, person, name, axis = chosen
    joint = skeleton.index(name)
    truth = next(iter(followed.values()))[index].truth_mm[:MOST_FRAMES, person, joint, axis]
    return {
        "clip": clips[index].name,
        "fps": rate,
        "joint": name,
        "axis": AXES[axis],
        "seconds": [round(frame / rate, 4) for frame in range(len(truth))],
        "truth_mm": _plain(truth),
        "found_mm": {
            method: _plain(runs[index].found_mm[:MOST_FRAMES, person, joint, axis])
            for method, runs in followed.items()
        },
    }


def _plain(values: np.ndarray) -> list[float | None]:
    return [round(float(value), 1) if np.isfinite(value) else None for value in values]
