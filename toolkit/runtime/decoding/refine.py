"""Fit poses to key points in one closed-form step, which turns bones towards the key points of their person.

The network's bones are the mean of a Gaussian prior, and key points are noisy measurements of joints.
The fit is the posterior mean: a Kalman update (Kalman, 1960), linearised about the network's bones.
It solves one linear system of 2 K unknowns per person with K key points.
"""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np

from ..pose import PoseSpec
from .bone_prior import BonePrior, Refinement, bone_prior
from .keypoints import Keypoints, match_keypoints
from .kinematics import EPSILON

_UNIT = np.eye(2, dtype=np.float32)[:, :, None]
# (3, 9): a vector times this, as (3, 3), times another vector is their cross product.
_CROSS = np.array(
    [[0, 0, 0, 0, 0, -1, 0, 1, 0], [0, 0, 1, 0, 0, 0, -1, 0, 0], [0, -1, 0, 1, 0, 0, 0, 0, 0]], np.float32
)
_LARGEST_GROWTH = 0.4  # of the logarithm of the scale in one step: the model is linear


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
        targets: (N, K, 2) float32, place of a joint's key point in the input; arbitrary where `pull` is 0.
        pull: (N, K) float32 in 0..1.
    """

    targets: np.ndarray
    pull: np.ndarray


def refine(
    bodies: Bodies, keypoints: Keypoints, spec: PoseSpec, *, settings: Refinement
) -> Tuple[Bodies, Matches]:
    """Return bodies whose projected joints lie nearer to their key points, and these key points.

    The unknowns are a rotation of every bone, the turn about the spine, the log scale, and the centre.
    All are normal about 0. Let S be the prior covariance of the joints' places and R the noise covariance.
    Places move by S (S + R)^-1 times their offsets from the key points.
    Every unknown moves by its covariance with the places.

    Args:
        bodies: N people.
        keypoints: of the same picture.
        spec: must have `keypoints`.
        settings: see Refinement.

    Returns:
        Bodies (N,), unchanged where there is no key point or the fit overflows; and Matches (N,).
    """
    assert spec.keypoints is not None
    prior = bone_prior(spec, settings)
    places_m = bodies.bones @ prior.paths  # (N, 3, K)
    scale = bodies.px_per_m[:, None]
    at = places_m[:, :2] * scale[..., None]
    at += bodies.centres[..., None]
    matches = Matches(
        *match_keypoints(
            at.transpose(0, 2, 1), scale * prior.reaches, keypoints, least_heat=settings.least_heat
        )
    )
    off = matches.targets.transpose(0, 2, 1) - at
    off /= scale[..., None]
    pulled = np.asarray(matches.pull.any(axis=1))
    if pulled.all():
        residuals = _Residuals(places_m, off, matches.pull)
        fitted = _update(bodies, residuals, prior, settings=settings)
    elif pulled.any():
        residuals = _Residuals(places_m[pulled], off[pulled], matches.pull[pulled])
        fitted = _update(bodies.take(pulled), residuals, prior, settings=settings)
    else:
        return bodies, matches
    if pulled.all() and np.isfinite(sum(values.sum() for values in fitted)):
        return fitted, matches
    sound = np.all([np.isfinite(values.reshape(len(values), -1)).all(axis=1) for values in fitted], axis=0)
    kept = Bodies(*(values.copy() for values in bodies))
    for values, new in zip(kept, fitted):
        values[np.flatnonzero(pulled)[sound]] = new[sound]
    return kept, matches


class _Residuals(NamedTuple):
    """Joints of N people and the offsets of their key points.

    Attributes:
        places_m: (N, 3, K) joints relative to the centre, in metres.
        off_m: (N, 2, K) key points relative to the projected joints, in metres.
        pull: (N, K) in 0..1.
    """

    places_m: np.ndarray
    off_m: np.ndarray
    pull: np.ndarray


def _update(bodies: Bodies, residuals: _Residuals, prior: BonePrior, *, settings: Refinement) -> Bodies:
    """Return the posterior mean of N bodies, given the offsets of their key points.

    Vectors of 2 K numbers have all x before all y.
    """
    places_m, off_m, pull = residuals
    people, _, count = off_m.shape
    bones, px_per_m = bodies.bones, bodies.px_per_m[:, None]
    # A bone u that turns a little moves by a vector across it, of covariance variance * (1 - u u^T).
    across = -bones[:, :2, None] * bones[:, None, :2]
    across += _UNIT
    covariance = (across.reshape(people, 4, -1) @ prior.products).reshape(people, 2, 2, count, count)
    covariance += (settings.centre_m**2 * _UNIT)[..., None]
    covariance = covariance.transpose(0, 1, 3, 2, 4).reshape(people, 2 * count, 2 * count)
    # Two unknowns that move all joints at once: the logarithm of the scale, and the turn about the spine.
    spine = bones @ prior.spine
    spine *= settings.turn / np.maximum(np.sqrt((spine * spine).sum(axis=1, keepdims=True)), EPSILON)
    turned = (spine @ _CROSS).reshape(people, 3, 3) @ bones
    both = np.empty((people, 2, 2 * count), np.float32)
    np.multiply(places_m[:, :2], settings.scale, out=both[:, 0].reshape(people, 2, count))
    np.matmul(turned[:, :2], prior.paths, out=both[:, 1].reshape(people, 2, count))
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
    moved = (shift @ prior.paths.T) * prior.variances
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

    The weight is Tukey's biweight of the remaining distance, so that no joint jumps when a key point appears.
    """
    assert spec.keypoints is not None
    if not settings.snap_m:
        return
    which = bone_prior(spec, settings).joints
    away = matches.targets - joints[:, which]
    near = np.maximum(0, 1 - (away * away).sum(axis=2) / np.square(settings.snap_m * px_per_m)[:, None])
    weight = near * near * np.minimum(1, matches.pull / settings.snap_pull)
    joints[:, which] += weight[..., None] * away
