"""Settings of the fit to key points, and the constants that it derives from a skeleton."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import List, NamedTuple, Tuple

import numpy as np

from ..pose import KeypointGrid, PoseSpec, Skeleton
from .kinematics import paths_mm


@dataclass(frozen=True)
class Refinement:
    """Settings of the fit; deviations are standard deviations.

    Attributes:
        least_heat: key points of this heat or less are ignored.
        reach_m: largest distance in the picture between a joint of the centre and its key point.
        reach_per_bone_m: increase of `reach_m` for every bone between a joint and the centre.
        noise_m, noise_px: deviation of key points, in metres at the person and in pixels of the input.
            For small people the second dominates, and poses change less.
        bone: deviation of a bone's direction in radians next to the centre.
        bone_per_bone: increase of `bone` for every bone in between.
        turn: deviation of the whole body's turn about the spine, in radians.
        scale: deviation of the logarithm of a person's scale.
        centre_m: deviation of a person's centre.
        snap_m: after the fit, `joints_px` move towards key points within this distance; 0 turns this off.
            It corrects for bone lengths that differ from the skeleton's. The 3D pose is unchanged.
        snap_pull: a key point of at least this pull moves its joint with full weight.
        evidence: increase of a person's score for every key point of pull 1 beyond `usual`.
            People below the threshold are then dropped. 0 keeps the network's scores.
        usual: total pull of the key points at which a person's score is unchanged.
    """

    least_heat: float = 0.15
    reach_m: float = 0.25
    reach_per_bone_m: float = 0.15
    noise_m: float = 0.026
    noise_px: float = 2.5
    bone: float = 0.05
    bone_per_bone: float = 0.08
    turn: float = 0.15
    scale: float = 0.126
    centre_m: float = 0.04
    snap_m: float = 0.14
    snap_pull: float = 0.3
    evidence: float = 0.0
    usual: float = 1.5

    def __post_init__(self) -> None:
        if min(self.noise_m, self.reach_m, self.snap_pull) <= 0:  # the first keeps the linear system regular
            raise ValueError(f"noise_m, reach_m and snap_pull must be above 0, got {self}")


REFINEMENT = Refinement()


class BonePrior(NamedTuple):
    """Constants of a skeleton of B bones, of which K joints have key points.

    Attributes:
        joints: (K,) indices of the joints.
        paths: (B, K), takes bones to joints in metres from the centre.
        spine: (B,), takes bones to the neck from the pelvis.
        deviations, variances: (B,) of the bone directions.
        deviated_paths: (K, B), paths times deviations.
        covariance: (2 K, 2 K) of the joints, all x before all y, if bones could also turn along themselves.
        signs: (B + 2,), -1 for the bones and 1 for two other unknowns.
        reaches: (K,) largest distance to a key point in metres.
    """

    joints: np.ndarray
    paths: np.ndarray
    spine: np.ndarray
    deviations: np.ndarray
    variances: np.ndarray
    deviated_paths: np.ndarray
    covariance: np.ndarray
    signs: np.ndarray
    reaches: np.ndarray


def bone_prior(spec: PoseSpec, settings: Refinement) -> BonePrior:
    """Return the constants of the network's skeleton; `spec` must have `keypoints`."""
    assert spec.keypoints is not None
    return _bone_prior(spec.skeleton, spec.keypoints, spec.centre_joints, settings=settings)


@lru_cache(maxsize=8)
def _bone_prior(
    skeleton: Skeleton, grid: KeypointGrid, centre_joints: Tuple[str, ...], *, settings: Refinement
) -> BonePrior:
    joints = [skeleton.index(name) for name in grid.joints if name]
    middle = [skeleton.index(name) for name in centre_joints]
    between = np.array(
        [_bones_between(skeleton, joint, middle) for joint in range(len(skeleton.names))], np.float32
    )
    paths_m = paths_mm(skeleton) / 1000
    paths = paths_m[joints] - paths_m[middle].mean(axis=0)
    deviations = settings.bone + settings.bone_per_bone * between[list(skeleton.bones)]
    deviated = paths * deviations
    covariance = np.kron(np.eye(2), deviated @ deviated.T + settings.centre_m**2)
    plain = (
        paths.T,
        paths_m[skeleton.index("neck")],
        deviations,
        np.square(deviations),
        deviated,
        covariance,
        np.r_[-np.ones(len(deviations)), 1, 1],
        settings.reach_m + settings.reach_per_bone_m * between[joints],
    )
    return BonePrior(np.array(joints), *(np.ascontiguousarray(values, np.float32) for values in plain))


def _bones_between(skeleton: Skeleton, joint: int, middle: List[int]) -> int:
    """Return the number of bones from a joint towards the root to a joint of `middle`, or to the root."""
    bones = 0
    while joint not in middle and skeleton.parents[joint] >= 0:
        joint, bones = skeleton.parents[joint], bones + 1
    return bones
