"""Fit poses to key points: bones turn until joints lie on the key points of their person, in one closed-form step.

The network's bones are the mean of a Gaussian, key points are noisy measurements of joints, and the fit is the posterior
mean: a Kalman update (Kalman, 1960) with the bones linearised about the network's answer. Its cost is one linear system
of 2 K unknowns for each person, K key points; nothing depends on the size of the pose decoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import List, NamedTuple, Tuple

import numpy as np

from ..pose import KeypointGrid, PoseSpec, Skeleton
from .keypoints import Keypoints, match_keypoints
from .kinematics import EPSILON, paths_mm

_UNIT = np.eye(2, dtype=np.float32)[:, :, None]
# (3, 9): a vector times this, as (3, 3), times another vector is their cross product.
_CROSS = np.array(
    [[0, 0, 0, 0, 0, -1, 0, 1, 0], [0, 0, 1, 0, 0, 0, -1, 0, 0], [0, -1, 0, 1, 0, 0, 0, 0, 0]], np.float32
)
_LARGEST_GROWTH = 0.4  # of the logarithm of the scale in one step: the model is linear


@dataclass(frozen=True)
class Refinement:
    """Settings of the fit; deviations are standard deviations.

    Attributes:
        least_heat: key points of this heat or less are ignored.
        reach_m, reach_per_bone_m: largest distance in the picture between a joint and its key point, and how much more for
            every bone between that joint and the joints of the centre: hands move more than shoulders.
        noise_m, noise_px: deviation of key points, in metres at the person and in pixels of the input. Where people are
            small, the second counts more and poses change less.
        bone, bone_per_bone: deviation of a bone's direction in radians next to the centre, and how much more for every
            bone between.
        turn: deviation of the whole body's turn about the spine, in radians.
        scale: deviation of the logarithm of a person's scale.
        centre_m: deviation of a person's centre.
        snap_m: `joints_px` whose key point is nearer than this after the fit move onto it, the nearer the more completely.
            Bones have fixed lengths, those of people differ; the 3D pose stays as fitted. 0 turns this off.
        snap_pull: a key point of at least this pull moves its joint with full weight.
        evidence: a person's score rises by this for every key point of pull 1 beyond `usual`; people who then fall below
            the threshold are dropped. 0 leaves scores as the network gives them.
        usual: total pull of the key points on a person whose score is right as it is.
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


class Bodies(NamedTuple):
    """N people before they are placed in the camera's frame.

    Attributes:
        bones: (N, 3, B) float32, unit directions in the frame of the viewing ray.
        px_per_m: (N,) float32, pixels of the input.
        centres: (N, 2) float32, x and y in the input.
    """

    bones: np.ndarray
    px_per_m: np.ndarray
    centres: np.ndarray

    def take(self, which: np.ndarray) -> "Bodies":
        """Return some of them, by a mask or by indices."""
        return Bodies(self.bones[which], self.px_per_m[which], self.centres[which])


class Matches(NamedTuple):
    """Key points of N people; joint k is the k-th of `KeypointGrid.joints` that the skeleton has.

    Attributes:
        targets: (N, K, 2) float32, place of a joint's key point in the input; anything where nothing pulls.
        pull: (N, K) float32 in 0..1.
    """

    targets: np.ndarray
    pull: np.ndarray


class _Model(NamedTuple):
    """Constants of a skeleton: K joints with key points, B bones.

    `paths` (B, K) takes bones to joints in metres from the centre, `spine` (B,) to the neck from the pelvis; `variances`
    (B,) are those of the bones, `products` (B, K K) are variance * path * path; `reaches` (K,) in metres.
    """

    joints: np.ndarray
    paths: np.ndarray
    spine: np.ndarray
    variances: np.ndarray
    products: np.ndarray
    reaches: np.ndarray


def refine(
    bodies: Bodies, keypoints: Keypoints, spec: PoseSpec, settings: Refinement
) -> Tuple[Bodies, Matches]:
    """Return bodies whose projected joints lie nearer to their key points, and these key points.

    Unknown are a rotation of every bone, the turn about the spine, the logarithm of the scale and the centre, all normal
    about 0. With prior covariance S of the joints' places and noise covariance R, places move by S (S + R)^-1 times their
    offsets from the key points, and every unknown by its covariance with the places.

    Args:
        bodies: N people.
        keypoints: of the same picture.
        spec: must have `keypoints`.
        settings: see Refinement.

    Returns:
        Bodies (N,), those without a key point or with numbers that overflow unchanged; and Matches (N,).
    """
    assert spec.keypoints is not None
    model = _model(spec.skeleton, spec.keypoints, spec.centre_joints, settings)
    places_m = bodies.bones @ model.paths  # (N, 3, K)
    scale = bodies.px_per_m[:, None]
    at = places_m[:, :2] * scale[..., None]
    at += bodies.centres[..., None]
    matches = Matches(
        *match_keypoints(at.transpose(0, 2, 1), scale * model.reaches, keypoints, settings.least_heat)
    )
    off = matches.targets.transpose(0, 2, 1) - at
    off /= scale[..., None]
    pulled = np.asarray(matches.pull.any(axis=1))
    if pulled.all():
        fitted = _update(bodies, places_m, off, matches.pull, model, settings)
    elif pulled.any():
        fitted = _update(
            bodies.take(pulled), places_m[pulled], off[pulled], matches.pull[pulled], model, settings
        )
    else:
        return bodies, matches
    if pulled.all() and np.isfinite(sum(values.sum() for values in fitted)):
        return fitted, matches
    sound = np.all([np.isfinite(values.reshape(len(values), -1)).all(axis=1) for values in fitted], axis=0)
    kept = Bodies(*(values.copy() for values in bodies))
    for values, new in zip(kept, fitted):
        values[np.flatnonzero(pulled)[sound]] = new[sound]
    return kept, matches


def _update(
    bodies: Bodies,
    places_m: np.ndarray,
    off_m: np.ndarray,
    pull: np.ndarray,
    model: _Model,
    settings: Refinement,
) -> Bodies:
    """Return the posterior mean of N bodies whose key points are off by off_m (N, 2, K), given their pull (N, K).

    Vectors of 2 K numbers have all x before all y.
    """
    people, _, count = off_m.shape
    bones, px_per_m = bodies.bones, bodies.px_per_m[:, None]
    # A bone u that turns a little moves by a vector across it, of covariance variance * (1 - u u^T).
    across = -bones[:, :2, None] * bones[:, None, :2]
    across += _UNIT
    covariance = (across.reshape(people, 4, -1) @ model.products).reshape(people, 2, 2, count, count)
    covariance += (settings.centre_m**2 * _UNIT)[..., None]
    covariance = covariance.transpose(0, 1, 3, 2, 4).reshape(people, 2 * count, 2 * count)
    # Two unknowns that move all joints at once: the logarithm of the scale, and the turn about the spine.
    spine = bones @ model.spine
    spine *= settings.turn / np.maximum(np.sqrt((spine * spine).sum(axis=1, keepdims=True)), EPSILON)
    turned = (spine @ _CROSS).reshape(people, 3, 3) @ bones
    both = np.empty((people, 2, 2 * count), np.float32)
    np.multiply(places_m[:, :2], settings.scale, out=both[:, 0].reshape(people, 2, count))
    np.matmul(turned[:, :2], model.paths, out=both[:, 1].reshape(people, 2, count))
    covariance += both.transpose(0, 2, 1) @ both
    # (S + R)^-1 with R = 1 / weights; a joint without key point has weight 0.
    weights = np.empty((people, 2, count), np.float32)
    np.divide(
        pull[:, None], (settings.noise_m**2 + np.square(settings.noise_px / px_per_m))[..., None], out=weights
    )
    weights = weights.reshape(people, -1, 1)
    covariance *= weights
    covariance.reshape(people, -1)[:, :: 2 * count + 1] += 1
    solved = np.linalg.solve(covariance, weights * off_m.reshape(people, -1, 1))
    shift = solved.reshape(people, 2, count)
    grow, turn = (both @ solved)[:, :, 0].T
    moved = (shift @ model.paths.T) * model.variances
    change = bones * (1 - (bones[:, :2] * moved).sum(axis=1, keepdims=True))
    change[:, :2] += moved
    turned *= turn[:, None, None]
    change += turned
    change /= np.sqrt((change * change).sum(axis=1, keepdims=True))
    grow = np.minimum(np.maximum(settings.scale * grow, -_LARGEST_GROWTH), _LARGEST_GROWTH)
    centres = bodies.centres + settings.centre_m**2 * px_per_m * shift.sum(axis=2)
    return Bodies(change, bodies.px_per_m * np.exp(grow), centres)


def snap(
    joints: np.ndarray, px_per_m: np.ndarray, matches: Matches, *, spec: PoseSpec, settings: Refinement
) -> None:
    """Move joints (N, J, 2), in pixels of the input, onto their key points, in place.

    By Tukey's biweight of the distance that the fit leaves, so that no joint jumps where a key point comes or goes.
    """
    assert spec.keypoints is not None
    if not settings.snap_m:
        return
    which = _model(spec.skeleton, spec.keypoints, spec.centre_joints, settings).joints
    away = matches.targets - joints[:, which]
    near = np.maximum(0, 1 - (away * away).sum(axis=2) / np.square(settings.snap_m * px_per_m)[:, None])
    weight = near * near * np.minimum(1, matches.pull / settings.snap_pull)
    joints[:, which] += weight[..., None] * away


@lru_cache(maxsize=8)
def _model(
    skeleton: Skeleton, grid: KeypointGrid, centre_joints: Tuple[str, ...], settings: Refinement
) -> _Model:
    """Return the constants of a skeleton."""
    joints = [skeleton.index(name) for name in grid.joints if name]
    middle = [skeleton.index(name) for name in centre_joints]
    between = np.array(
        [_bones_between(skeleton, joint, middle) for joint in range(len(skeleton.names))], np.float32
    )
    paths_m = paths_mm(skeleton) / 1000
    paths = paths_m[joints] - paths_m[middle].mean(axis=0)
    variances = np.square(settings.bone + settings.bone_per_bone * between[list(skeleton.bones)])
    products = (variances * paths[:, None] * paths).reshape(-1, len(variances))
    spine = paths_m[skeleton.index("neck")]
    reaches = settings.reach_m + settings.reach_per_bone_m * between[joints]
    plain = (paths.T, spine, variances, products.T, reaches)
    return _Model(np.array(joints), *(np.ascontiguousarray(values, np.float32) for values in plain))


def _bones_between(skeleton: Skeleton, joint: int, middle: List[int]) -> int:
    """Return the number of bones on the way from a joint towards the root until a joint of `middle` or the root."""
    bones = 0
    while joint not in middle and skeleton.parents[joint] >= 0:
        joint, bones = skeleton.parents[joint], bones + 1
    return bones
