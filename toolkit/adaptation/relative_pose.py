"""The pose of one camera relative to another, from the people that both see: no calibration, no labels.

Each pair of sightings of one person states a rotation. The rotation that most instants agree on is the
cameras'; it also pairs the sightings of one person. Joints of these pairs then give the rotation and
the direction of translation by epipolar geometry, and the network's body size gives the scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..errors import PosecError
from ..runtime.views.camera_poses import CameraPose
from ..runtime.views.fuse import ray_gap
from .epipolar import Rays, refine_pose, sampson_px
from .offset import LEAST_FRAMES, find_offset
from .pairs import Pairs, angles_between, nearest_rotation, pairs_of, simultaneous
from .sightings import Sightings

AGREE_DEGREES = 25.0
MOST_HYPOTHESES = 200
LEAST_SHARE = 0.6  # of the instants with people in both cameras
MOVED_DEGREES = 10.0
PARTS = 3  # of a recording, to see whether a camera moved
SAME_PX = 0.01  # of the width: distance of joints in the pictures of one camera given twice


@dataclass(frozen=True)
class RelativePose:
    """Camera B relative to camera A.

    Attributes:
        pose: of B in A's frame.
        pairs: sightings of one person by both, one per person and instant.
        instants: number of instants with people in both cameras.
        share: part of these with such a pair.
        spread_degrees: median angle between a pair's rotation and the camera's.
        epipolar_px: median distance of joints from their epipolar lines, in pixels of A.
        moved_degrees: largest difference of rotation between parts of the recording.
    """

    pose: CameraPose
    pairs: Pairs
    instants: int
    share: float
    spread_degrees: float
    epipolar_px: float
    moved_degrees: float


def relative_pose(a: Sightings, b: Sightings) -> RelativePose:
    """Return the pose of B relative to A.

    Raises PosecError, naming the figure, for videos that are not simultaneous, for one camera given twice,
    without people that both see, and for a camera that moved.
    """
    offset_s = find_offset(a, b).seconds
    frames = simultaneous(a, b, offset_s)
    everyone = pairs_of(a, b, frames)
    rotation = consensus(everyone)
    pairs = agreeing(everyone, rotation)
    share = _share(everyone, rotation)
    moved = _moved_degrees(a, everyone)
    if moved > MOVED_DEGREES:
        raise PosecError(
            f"a camera moved: '{a.name}' and '{b.name}' differ by {moved:.0f} degrees more at one time than "
            f"at another, at most {MOVED_DEGREES:g} are allowed; fix the cameras and record again"
        )
    _check_overlap(a, b, share, pairs)
    _check_distinct(a, b, pairs)
    rays = Rays.of(a, b, pairs)
    roots = [
        np.array([sightings.people[frame].roots_mm[row] for frame, row in zip(at, rows, strict=True)], float)
        for sightings, at, rows in zip((a, b), pairs.frames.T, pairs.rows.T, strict=True)
    ]
    position_mm = np.median(roots[0] - roots[1] @ rotation.T, axis=0)
    rotation, position_mm = refine_pose(rays, rotation, position_mm, focal_px=a.camera.mean_focal_px)
    position_mm = position_mm * _scale(roots[0], roots[1], rotation, position_mm)
    return RelativePose(
        CameraPose(rotation, position_mm, offset_s, b.camera.mean_focal_px),
        pairs,
        len(frames),
        share,
        float(np.median(angles_between(pairs.rotations, rotation))),
        float(np.median(np.abs(sampson_px(rays, rotation, position_mm, a.camera.mean_focal_px)))),
        moved,
    )


def consensus(pairs: Pairs) -> np.ndarray:
    """Return the rotation (3, 3) that pairs of the most instants state, within AGREE_DEGREES."""
    tried = pairs.rotations[np.argsort(pairs.apart_mm)[:MOST_HYPOTHESES]]
    starts = np.flatnonzero(np.diff(pairs.frames[:, 0], prepend=-1))
    near = angles_between(tried[:, None], pairs.rotations[None]) < AGREE_DEGREES
    votes = np.maximum.reduceat(near.astype(int), starts, axis=1).sum(axis=1)
    rotation = tried[int(votes.argmax())]
    for _ in range(5):
        chosen = angles_between(pairs.rotations, rotation) < AGREE_DEGREES
        if chosen.any():
            rotation = nearest_rotation(pairs.rotations[chosen].mean(axis=0))
    return np.asarray(rotation)


def agreeing(pairs: Pairs, rotation: np.ndarray) -> Pairs:
    """Return pairs that state a rotation within AGREE_DEGREES, each sighting in at most one pair."""
    angles = angles_between(pairs.rotations, rotation)
    taken: set[tuple[int, int, int]] = set()
    chosen = []
    for index in np.argsort(angles):
        if angles[index] > AGREE_DEGREES:
            break
        sightings = {(side, int(pairs.frames[index, side]), int(pairs.rows[index, side])) for side in (0, 1)}
        if not sightings & taken:
            taken |= sightings
            chosen.append(int(index))
    return pairs.take(np.array(sorted(chosen), int))


def _share(pairs: Pairs, rotation: np.ndarray) -> float:
    """Return the part of the instants with a pair that states a rotation within AGREE_DEGREES."""
    agreed = pairs.frames[angles_between(pairs.rotations, rotation) < AGREE_DEGREES, 0]
    return len(np.unique(agreed)) / max(len(np.unique(pairs.frames[:, 0])), 1)


def _scale(a_mm: np.ndarray, b_mm: np.ndarray, rotation: np.ndarray, position_mm: np.ndarray) -> float:
    """Return the factor of the baseline at which triangulated people have the network's body size."""
    lengths = [np.linalg.norm(roots, axis=-1) for roots in (a_mm, b_mm)]
    rays = [a_mm / lengths[0][:, None], b_mm @ rotation.T / lengths[1][:, None]]
    _, far_a, far_b = ray_gap(np.zeros(3), rays[0], position_mm, rays[1])
    ratios = np.concatenate([lengths[0] / far_a, lengths[1] / far_b])
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    return float(np.median(ratios)) if len(ratios) else 1.0


def _moved_degrees(a: Sightings, pairs: Pairs) -> float:
    """Return the largest angle between the rotations that parts of the recording state."""
    edges = np.linspace(0, len(a.seconds), PARTS + 1)
    parts = [
        pairs.take((pairs.frames[:, 0] >= low) & (pairs.frames[:, 0] < high)) for low, high in pairwise(edges)
    ]
    parts = [part for part in parts if len(np.unique(part.frames[:, 0])) >= LEAST_FRAMES // 2]
    rotations = [consensus(part) for part in parts]
    if any(_share(part, rotation) < LEAST_SHARE for part, rotation in zip(parts, rotations, strict=True)):
        return 0.0  # not the same people in some part, which is another fault
    return max((float(angles_between(one, other)) for one in rotations for other in rotations), default=0.0)


def _check_overlap(a: Sightings, b: Sightings, share: float, pairs: Pairs) -> None:
    if share < LEAST_SHARE or len(pairs.frames) < LEAST_FRAMES:
        raise PosecError(
            f"'{a.name}' and '{b.name}' do not see the same people at one time: one rotation explains "
            f"{100 * share:.0f} % of the instants, {100 * LEAST_SHARE:.0f} % and {LEAST_FRAMES} instants are "
            "needed; start the cameras together, fix them, and record people where the pictures overlap"
        )


def _check_distinct(a: Sightings, b: Sightings, pairs: Pairs) -> None:
    apart = [
        np.linalg.norm(
            a.people[i].joints_px[row] / a.size[1] - b.people[j].joints_px[other] / b.size[1], axis=-1
        )
        for (i, j), (row, other) in zip(pairs.frames.tolist(), pairs.rows.tolist(), strict=True)
    ]
    share = float(np.median(apart))
    if share < SAME_PX:
        raise PosecError(
            f"'{a.name}' and '{b.name}' are one camera: joints lie {share * a.size[1]:.1f} px apart in their "
            f"pictures, {SAME_PX * a.size[1]:.1f} px or more are needed; give two cameras"
        )
