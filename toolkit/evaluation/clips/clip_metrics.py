"""Metrics of people over time, on clips with exact 3D poses.

Errors are of poses relative to the pelvis, in the camera frame. People who are less than a quarter visible
are left out. Velocities and accelerations are differences between neighbouring frames, so they depend on the
frame rate.

mpjpe_detected_mm     MPJPE without people who are bridged over a gap.
mpjve_mm              mean error of the joints' velocities, mm per frame (Pavllo et al., CVPR 2019).
acceleration_mm       mean error of the joints' accelerations, mm per frame² (Kanazawa et al., CVPR 2019).
sides_exchanged       percentage of found people who fit better, by a fifth, with left and right exchanged.
facing_exchanged      percentage of found people with torsos over 90 degrees off the true direction.
id_switches           changes of a true person's track.
gaps                  interruptions: a visible person is found, then not found, then found again.
false_tracks_per_min  tracks of no true person in most of their frames, per minute of video.
delay_ms              delay of joints faster than FAST_MM_S: found = true - delay * velocity, least squares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...runtime.pose import Skeleton
from .. import metrics
from .follow import Followed

FAST_MM_S = 1000.0
EXCHANGED_RATIO = 0.8
_TORSO = ("left_hip", "right_hip", "left_shoulder", "right_shoulder", "pelvis", "neck")


def measure(clips: Sequence[Followed], skeleton: Skeleton) -> dict[str, Any]:
    """Return the metrics of some clips; None where there is nothing to average.

    Args:
        clips: people of all clips in the same joints.
        skeleton: of these joints.
    """
    found, truth = (_people(clips, name) for name in ("found_mm", "truth_mm"))
    frames = sum(len(clip.numbers) for clip in clips)
    minutes = sum(len(clip.numbers) / clip.fps for clip in clips) / 60
    people = sum(int(clip.scored.sum()) for clip in clips)
    row = {
        "clips": len(clips),
        "frames": frames,
        "people": people,
        "found_share": len(found) / people if people else float("nan"),
        "mpjpe_mm": metrics.mpjpe(found, truth),
        "mpjpe_detected_mm": _detected_mpjpe(clips),
        "pa_mpjpe_mm": metrics.pa_mpjpe(found, truth),
        "pck_rel150": _pck(found, truth, people, skeleton),
        "mpjve_mm": _mean(clips, lambda clip: _differences(clip, 1)),
        "acceleration_mm": _mean(clips, lambda clip: _differences(clip, 2)),
        "true_acceleration_mm": _mean(clips, _true_acceleration),
        "sides_exchanged": _percentage(sides_exchanged(found, truth, skeleton)),
        "facing_exchanged": _percentage(facing_exchanged(found, truth, skeleton)),
        "id_switches": sum(id_switches(clip) for clip in clips),
        "gaps": sum(gaps(clip) for clip in clips),
        "bridged": sum(int((clip.is_bridged & clip.scored).sum()) for clip in clips),
        "false_tracks_per_min": sum(clip.false_tracks for clip in clips) / minutes
        if minutes
        else float("nan"),
        "delay_ms": delay_ms(clips),
    }
    return {
        name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()
    }


def _people(clips: Sequence[Followed], name: str) -> np.ndarray:
    """Return poses (N, J, 3) of all people that are found and scored."""
    chosen = [getattr(clip, name)[clip.scored & (clip.numbers > 0)] for clip in clips]
    return np.concatenate(chosen) if chosen else np.zeros((0, 1, 3))


def _detected_mpjpe(clips: Sequence[Followed]) -> float:
    """Return MPJPE without bridged people, to compare with a method that bridges no gaps."""
    detected = [replace(clip, scored=clip.scored & ~clip.is_bridged) for clip in clips]
    return metrics.mpjpe(_people(detected, "found_mm"), _people(detected, "truth_mm"))


def _pck(found: np.ndarray, truth: np.ndarray, people: int, skeleton: Skeleton) -> float:
    """Return PCK_rel@150 of `people` people; those that are not found count as wrong."""
    scored = [skeleton.index(name) for name in metrics.MUPOTS_SCORED if name in skeleton.names]
    errors = metrics.joint_errors_mm(metrics.rescale_bones(found, truth, skeleton), truth)[:, scored]
    missed = np.full((people - len(found), len(scored)), metrics.UNMATCHED_MM)
    return metrics.pck(np.concatenate([errors, missed]))


def _differences(clip: Followed, order: int) -> np.ndarray:
    """Return errors (N,) of the joints' differences in time, where a person is found throughout."""
    error = np.where(clip.scored[..., None, None], clip.found_mm - clip.truth_mm, np.nan)
    distances = np.linalg.norm(np.diff(error, n=order, axis=0), axis=-1)
    return np.asarray(distances[np.isfinite(distances)])


def _true_acceleration(clip: Followed) -> np.ndarray:
    """Return the lengths (N,) of the true accelerations where `_differences` has a value."""
    missed = np.isnan(np.where(clip.scored[..., None, None], clip.found_mm, np.nan))
    truth = np.where(missed, np.nan, clip.truth_mm)
    lengths = np.linalg.norm(np.diff(truth, n=2, axis=0), axis=-1)
    return np.asarray(lengths[np.isfinite(lengths)])


def _mean(clips: Sequence[Followed], values: Callable[[Followed], np.ndarray]) -> float:
    every = np.concatenate([values(clip) for clip in clips]) if clips else np.zeros(0)
    return float(every.mean()) if len(every) else float("nan")


def sides_exchanged(found: np.ndarray, truth: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return (N,) bool of poses (N, J, 3): left and right exchanged fits better, by EXCHANGED_RATIO."""
    paired = [joint for joint, other in enumerate(skeleton.mirror) if other != joint]
    mirrored = found[:, list(skeleton.mirror)]
    own, other = (
        metrics.joint_errors_mm(poses, truth)[:, paired].mean(axis=1) for poses in (found, mirrored)
    )
    return np.asarray(other < EXCHANGED_RATIO * own)


def facing_exchanged(found: np.ndarray, truth: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return (N,) bool of poses (N, J, 3): torsos face more than 90 degrees apart. Empty without a torso."""
    if any(name not in skeleton.names for name in _TORSO):
        return np.zeros(0, bool)
    return np.asarray((_facing(found, skeleton) * _facing(truth, skeleton)).sum(axis=-1) < 0)


def _facing(poses: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return the normal (N, 3) of the torso, to the front."""
    at = {name: poses[:, skeleton.index(name)] for name in _TORSO}
    to_left = at["left_hip"] - at["right_hip"] + at["left_shoulder"] - at["right_shoulder"]
    return np.cross(to_left, at["neck"] - at["pelvis"])


def _percentage(which: np.ndarray) -> float:
    return float(100 * which.mean()) if len(which) else float("nan")


def id_switches(clip: Followed) -> int:
    """Return how often the track of a true person changes, whatever the gap between."""
    return sum(
        int((np.diff(numbers[(numbers > 0) & scored]) != 0).sum())
        for numbers, scored in zip(clip.numbers.T, clip.scored.T)
    )


def gaps(clip: Followed) -> int:
    """Return how often a visible person who was found is not found, and then found again."""
    count = 0
    for numbers, scored in zip(clip.numbers.T, clip.scored.T):
        is_found = (numbers > 0)[scored].astype(int)
        runs = int((np.diff(is_found, prepend=0) == 1).sum())
        count += max(runs - 1, 0)
    return count


def delay_ms(clips: Sequence[Followed]) -> float:
    """Return the mean delay of fast joints in milliseconds; NaN without any."""
    along = squared = 0.0
    for clip in clips:
        velocity = (clip.truth_mm[2:] - clip.truth_mm[:-2]) * (clip.fps / 2)
        error = np.where(clip.scored[..., None, None], clip.found_mm - clip.truth_mm, np.nan)[1:-1]
        # A constant error of a person is no delay.
        error = error - _mean_over_time(error)
        used = (np.linalg.norm(velocity, axis=-1) > FAST_MM_S) & np.isfinite(error).all(axis=-1)
        along -= float((error[used] * velocity[used]).sum())
        squared += float((velocity[used] ** 2).sum())
    return 1000 * along / squared if squared else float("nan")


def _mean_over_time(values: np.ndarray) -> np.ndarray:
    finite = np.isfinite(values)
    return np.asarray(np.where(finite, values, 0).sum(axis=0) / np.maximum(finite.sum(axis=0), 1))
