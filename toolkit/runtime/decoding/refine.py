"""Fit poses to key points: the network says who is there and how they stand in depth, key points where joints are in the picture.

Every person's embedding, rotation, scale and centre move until the projected joints lie on the key points that are theirs, as far
as a prior around the network's answer lets them. Whoever has no key point within reach stays as the network said.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Tuple

import numpy as np

from ..pose import KeypointGrid, PoseSpec, Skeleton
from .keypoints import Keypoints, match_keypoints
from .kinematics import EPSILON, Layers, decode_embeddings, embedding_jacobian, paths_mm, rotation_from_vector

_LARGEST_STEP = 0.4  # radians, and of the logarithm of the scale: beyond, the linear is no guide


@dataclass(frozen=True)
class Refinement:
    """How poses are fitted to key points.

    Attributes:
        least_heat: a key point of this heat or less is none.
        reach_m, reach_per_bone_m: how far in the picture a key point may be from its joint, and how much farther for every bone
            between that and the joints of the centre: hands move more than shoulders.
        steps: Gauss-Newton steps; before each, key points are matched anew, within `narrowing` of the reach before.
        huber_m: a key point farther from its joint pulls by its distance, not the square of it.
        noise_px, noise_m: key points are off by so many pixels of the input, poses by so many metres, whatever is done: where
            people are small, the first weighs more and key points count for less.
        embedding, rotation, scale, centre: stiffness of the prior: m^2 per unit of embedding, radian, logarithm, metre, squared. A
            key point that pulls with 1 and is off by d metres has d^2 to set against it.
        evidence: what a person's score gains by every key point that pulls with 1, beyond `usual`; who then falls below the
            threshold is no person. 0: scores are the network's alone.
        usual: pull of all key points on a person whose score is right as it is.
    """

    least_heat: float = 0.2
    reach_m: float = 0.2
    reach_per_bone_m: float = 0.15
    steps: int = 2
    narrowing: float = 0.7
    huber_m: float = 0.15
    noise_px: float = 4.0
    noise_m: float = 0.1
    embedding: float = 0.014
    rotation: float = 0.5
    scale: float = 0.03
    centre: float = 0.2
    evidence: float = 0.0
    usual: float = 1.5

    def __post_init__(self) -> None:
        # Without a prior a person with one key point is no problem that has a solution.
        if (
            min(
                self.embedding,
                self.rotation,
                self.scale,
                self.centre,
                self.huber_m,
                self.noise_m,
                self.reach_m,
            )
            <= 0
        ):
            raise ValueError(f"stiffness, huber_m, noise_m and reach_m must be above 0, got {self}")


REFINEMENT = Refinement()


class Bodies(NamedTuple):
    """N people as the heads describe them.

    Attributes:
        embeddings: (N, E) float32.
        rotations: (N, 3, 3) float32, the torso's axes in the frame of the viewing ray.
        px_per_m: (N,) float32, pixels of the input.
        centres: (N, 2) float32, x and y in the input.
    """

    embeddings: np.ndarray
    rotations: np.ndarray
    px_per_m: np.ndarray
    centres: np.ndarray

    def take(self, which: np.ndarray) -> "Bodies":
        """Return some of them, by a mask or by indices."""
        return Bodies(*(values[which] for values in self))


def refine(
    bodies: Bodies, seen: Keypoints, spec: PoseSpec, decoder: Layers, how: Refinement
) -> Tuple[Bodies, np.ndarray]:
    """Return bodies whose projected joints lie nearer to the key points that are theirs, and how strongly these pull.

    Gauss-Newton steps on a least-squares problem with Huber weights (Nocedal and Wright, Numerical Optimization, chapter 10).

    Args:
        bodies: N people, finite.
        seen: of the same picture.
        spec: must have `keypoints`.
        decoder: see `kinematics.layers`.
        how: its settings.

    Returns:
        Bodies (N,), those without a key point as they were; and the pull (N,) of key points on each when last matched.
    """
    assert spec.keypoints is not None
    paths, reach_m = _joints_seen(
        spec.skeleton, spec.keypoints, spec.centre_joints, how.reach_m, how.reach_per_bone_m
    )
    limits = (spec.heads["embedding"].low, spec.heads["embedding"].high)
    counts = 1 / (1 + np.square(how.noise_px / (how.noise_m * bodies.px_per_m)))
    fitted, turned = (
        Bodies(*(values.copy() for values in bodies)),
        np.zeros((len(bodies.centres), 3), np.float32),
    )
    support = np.zeros(len(bodies.centres), np.float32)
    for step in range(how.steps):
        joints_m = _joints(fitted.embeddings, paths, decoder)
        at = fitted.centres[:, None] + fitted.px_per_m[:, None, None] * (
            fitted.rotations[:, :2] @ joints_m
        ).transpose(0, 2, 1)
        reach_px = fitted.px_per_m[:, None] * (reach_m * how.narrowing**step)
        targets, pull = match_keypoints(at, reach_px, seen, how.least_heat)
        support = pull.sum(axis=1)
        who = np.flatnonzero(support)
        if not len(who):
            break
        problem = _Problem(
            bodies.take(who), targets[who].transpose(0, 2, 1), (pull * counts[:, None])[who], how
        )
        found, turned[who] = _step(
            problem, fitted.take(who), turned[who], joints_m[who], paths, decoder, limits
        )
        for values, new in zip(fitted, found):
            values[who] = new
    sound = np.all([np.isfinite(values.reshape(len(values), -1)).all(axis=1) for values in fitted], axis=0)
    return Bodies(
        *(np.where(sound.reshape(-1, *[1] * (old.ndim - 1)), new, old) for new, old in zip(fitted, bodies))
    ), support


def _joints(embeddings: np.ndarray, paths: np.ndarray, decoder: Layers) -> np.ndarray:
    """Return where the K joints are from the centre, (N, 3, K) in metres, in the torso frame."""
    return (paths @ decode_embeddings(embeddings, decoder)).transpose(0, 2, 1)


class _Problem(NamedTuple):
    """What a step goes for: N people near `prior` with joints at targets (N, 2, K), by weights (N, K)."""

    prior: Bodies
    targets: np.ndarray
    weights: np.ndarray
    how: Refinement


def _step(problem: _Problem, bodies: Bodies, turned: np.ndarray, joints_m: np.ndarray, paths: np.ndarray, decoder: Layers,
          limits: Tuple[float, float]) -> Tuple[Bodies, np.ndarray]:  # fmt: skip
    """Return bodies after one step, and by how much in all they are turned (N, 3).

    Unknowns are the E numbers of the embedding, a rotation vector, the logarithm of the scale, and the centre. Residuals and the
    centre are in metres at the prior's scale, all x before all y.
    """
    prior, targets, weights, how = problem
    people, size = bodies.embeddings.shape
    stiffness = np.repeat(
        np.array([how.embedding, how.rotation, how.scale, how.centre], np.float32), [size, 3, 1, 2]
    )
    scale = prior.px_per_m[:, None, None]
    grown = bodies.px_per_m[:, None, None] / scale
    x, y, z = (grown * (bodies.rotations @ joints_m)).transpose(1, 0, 2)
    by_embedding = (paths @ embedding_jacobian(bodies.embeddings, decoder)).reshape(
        len(paths), 3, people, size
    )
    by_embedding = (grown * bodies.rotations[:, :2]) @ by_embedding.transpose(2, 1, 0, 3).reshape(
        people, 3, -1
    )
    jacobian = np.zeros((people, 2, len(paths), size + 6), np.float32)
    jacobian[..., :size] = by_embedding.reshape(people, 2, -1, size)
    # A small turn w moves a joint at q by w x q.
    jacobian[:, 0, :, size + 1], jacobian[:, 0, :, size + 2], jacobian[:, 0, :, size + 3] = z, -y, x
    jacobian[:, 1, :, size], jacobian[:, 1, :, size + 2], jacobian[:, 1, :, size + 3] = -z, x, y
    jacobian[:, 0, :, size + 4] = jacobian[:, 1, :, size + 5] = 1
    rows = jacobian.reshape(people, -1, size + 6)

    off = (targets - bodies.centres[..., None]) / scale - jacobian[..., size + 3]
    weights = weights * np.minimum(1, how.huber_m / np.maximum(np.sqrt((off * off).sum(axis=1)), EPSILON))
    pulls = (rows * np.concatenate([weights, weights], axis=1)[..., None]).transpose(0, 2, 1)
    moved = (
        bodies.embeddings - prior.embeddings,
        turned,
        np.log(grown[:, 0]),
        (bodies.centres - prior.centres) / scale[:, 0],
    )
    slope = pulls @ off.reshape(people, -1, 1) - (stiffness * np.concatenate(moved, axis=1))[..., None]
    step = np.linalg.solve(pulls @ rows + np.diag(stiffness), slope)[..., 0]
    turn, grow = step[:, size : size + 3], step[:, size + 3]
    step *= np.minimum(
        1, _LARGEST_STEP / np.maximum(np.sqrt((turn * turn).sum(axis=1) + grow * grow), EPSILON)
    )[:, None]
    return Bodies(
        np.clip(bodies.embeddings + step[:, :size], *limits),
        rotation_from_vector(turn) @ bodies.rotations,
        bodies.px_per_m * np.exp(grow),
        bodies.centres + step[:, size + 4 :] * scale[:, 0],
    ), turned + turn


@lru_cache(maxsize=8)
def _joints_seen(skeleton: Skeleton, grid: KeypointGrid, centre_joints: Tuple[str, ...], reach_m: float,
                 reach_per_bone_m: float) -> Tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Return what takes bone directions to the K joints that key points tell of, from the centre, (K, B) in metres; and reaches (K,)."""
    joints = [skeleton.index(name) for name in grid.joints if name]
    middle = [skeleton.index(name) for name in centre_joints]
    reaches = []
    for joint in joints:
        bones = 0
        while joint not in middle and skeleton.parents[joint] >= 0:
            joint, bones = skeleton.parents[joint], bones + 1
        reaches.append(reach_m + reach_per_bone_m * bones)
    paths_m = paths_mm(skeleton) / 1000
    return paths_m[joints] - paths_m[middle].mean(axis=0), np.array(reaches, np.float32)
