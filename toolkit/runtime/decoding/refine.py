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
from .keypoints import Keypoints, Matches, match_keypoints
from .kinematics import EPSILON, cross

_LEAST_PULL = 1e-9  # of a joint without a key point: its noise is finite, and far above that of others
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


def refine(
    bodies: Bodies, keypoints: Keypoints, spec: PoseSpec, *, settings: Refinement
) -> Tuple[Bodies, Matches]:
    """Return bodies with projected joints nearer to their key points, and these key points.

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
    prior = bone_prior(spec, settings)
    scale = bodies.px_per_m[:, None]
    places_m = bodies.bones @ prior.paths  # (N, 3, K)
    at = places_m[:, :2] * scale[..., None]
    at += bodies.centres[..., None]
    matches = match_keypoints(at, scale * prior.reaches, keypoints, least_heat=settings.least_heat)
    kept = np.asarray(matches.pull.any(axis=1))
    if not kept.any():
        return bodies, matches
    off_m = matches.targets - at
    off_m /= scale[..., None]
    fitted = _update(bodies, _Residuals(places_m, off_m, matches.pull), prior, settings=settings)
    if not np.isfinite(sum(values.sum() for values in fitted)):
        kept &= np.all([np.isfinite(new.reshape(len(new), -1)).all(axis=1) for new in fitted], axis=0)
    if not kept.all():
        for values, new in zip(bodies, fitted):
            new[~kept] = values[~kept]
    return fitted, matches


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
    total = bones.shape[2]
    spine = bones @ prior.spine
    spine *= settings.turn / np.maximum(np.sqrt(np.add.reduce(spine * spine, axis=1, keepdims=True)), EPSILON)
    turned = cross(spine, bones)
    # A bone u that turns a little moves by a vector across it, of covariance variance * (1 - u u^T).
    # `prior.covariance` has the 1, and the first columns of `moves` have u; then come two unknowns that
    # move all joints at once: the logarithm of the scale, and the turn about the spine.
    moves = np.empty((people, 2, count, total + 2), np.float32)
    np.multiply(bones[:, :2, None], prior.deviated_paths, out=moves[..., :total])
    np.multiply(places_m[:, :2], settings.scale, out=moves[..., total])
    np.matmul(turned[:, :2], prior.paths, out=moves[..., total + 1])
    moves = moves.reshape(people, 2 * count, total + 2)
    covariance = (moves * prior.signs) @ moves.transpose(0, 2, 1)
    covariance += prior.covariance
    noise = settings.noise_m**2 + np.square(settings.noise_px / px_per_m)
    noise = noise / np.maximum(pull, _LEAST_PULL)
    covariance.reshape(people, -1)[:, :: 2 * count + 1].reshape(people, 2, count)[...] += noise[:, None]
    solved = np.linalg.solve(covariance, off_m.reshape(people, 2 * count, 1))
    along = solved.transpose(0, 2, 1) @ moves  # (N, 1, B + 2)
    shift = solved.reshape(people, 2, count)
    change = bones * (1 - along[..., :total] * prior.deviations)
    change[:, :2] += (shift @ prior.paths.T) * prior.variances
    change += turned * along[..., total + 1 :]
    change /= np.sqrt(np.add.reduce(change * change, axis=1, keepdims=True))
    grow = np.minimum(np.maximum(settings.scale * along[:, 0, total], -_LARGEST_GROWTH), _LARGEST_GROWTH)
    centres = bodies.centres + settings.centre_m**2 * px_per_m * np.add.reduce(shift, axis=2)
    return Bodies(change, bodies.px_per_m * np.exp(grow), centres)


def snap(
    points: np.ndarray, px_per_m: np.ndarray, matches: Matches, *, spec: PoseSpec, settings: Refinement
) -> None:
    """Move joints of points (N, 2, J or more), in pixels of the input, onto their key points, in place.

    The weight is Tukey's biweight of the remaining distance, so that no joint jumps when a key point appears.
    """
    if not settings.snap_m:
        return
    which = bone_prior(spec, settings).joints
    away = matches.targets - points[..., which]
    near = np.add.reduce(away * away, axis=1)
    near /= np.square(settings.snap_m * px_per_m)[:, None]
    np.subtract(1, near, out=near)
    np.maximum(near, 0, out=near)
    near *= near
    near *= np.minimum(matches.pull / settings.snap_pull, 1)
    away *= near[:, None]
    points[..., which] += away
