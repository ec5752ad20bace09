"""Simulated tracks: true motion before a camera, read with the errors of a network."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...runtime.pose import MUPOTS17
from ...runtime.temporal.record import Record
from .error_model import (
    BONES,
    JOINTS,
    LONGEST_MISS,
    PARTS,
    ErrorModel,
    conditions,
    draw_noise,
    draw_spans,
    factors,
)
from .exchanges import exchange
from .motion import PICTURE, MotionSource
from .tracks import Track
from .truth import Truth, truth_of

SIMULATED = "simulated"  # in place of a clip's name
LONGEST_SWAP = 6  # frames
LONGEST_FLIP = 10_000
LEAST_SCORE = 0.25
PRINCIPAL_PX = np.array([(PICTURE[1] - 1) / 2, (PICTURE[0] - 1) / 2])


class _Parts(NamedTuple):
    """Errors of T frames; see `error_model.PARTS`."""

    bones: np.ndarray
    poses: np.ndarray
    centre: np.ndarray
    joints: np.ndarray
    log_scale: np.ndarray
    pulls: np.ndarray
    score: np.ndarray


def simulated_track(
    source: MotionSource, model: ErrorModel, rng: np.random.Generator, *, frames: int
) -> Track:
    """Return a random track of T frames with errors, misses, exchanges and another person's detections."""
    view = source.view(rng, frames)
    truth = truth_of(view.joints_m, np.full(frames, view.focal_px), PRINCIPAL_PX)
    noise = draw_noise(model, view.seconds, rng) * factors(model, truth)[:, None]
    errors = conditions(truth) @ model.bias + noise
    flips = draw_spans(model.flips, view.seconds, rng, LONGEST_FLIP) > 0
    record = _record(truth, _split(errors), flips, rng.random() < float(model.flipped_keypoints))
    swaps = draw_spans(model.swaps, view.seconds, rng, LONGEST_SWAP)
    if swaps.any():
        record = _with_neighbour(record, swaps, source, model, rng=rng)
    misses = draw_spans(model.misses, view.seconds, rng, LONGEST_MISS) > 0
    misses[0] = False
    held = np.maximum.accumulate(np.where(misses, 0, np.arange(frames)))
    return Track(record.take(held), truth, ~misses, view.seconds, SIMULATED)


def _split(errors: np.ndarray) -> _Parts:
    frames = len(errors)
    parts = np.split(errors, np.cumsum(list(PARTS.values()))[:-1], axis=1)
    bones, poses, centre, joints, log_scale, pulls, score = parts
    shape = (frames, 3, BONES)
    return _Parts(
        bones.reshape(shape),
        poses.reshape(shape),
        centre,
        joints.reshape(frames, JOINTS, 2),
        log_scale[:, 0],
        pulls,
        score[:, 0],
    )


def _record(truth: Truth, errors: _Parts, flips: np.ndarray, exchanges_joints: bool) -> Record:
    """Return the record of a truth with errors; `flips` are frames with front and back exchanged."""
    true_bones, true_joints = truth.bones.copy(), truth.joints_px.copy()
    true_bones[flips] = exchange(true_bones[flips])
    if exchanges_joints:
        true_joints[flips] = true_joints[flips][:, list(MUPOTS17.mirror)]
    centres = truth.centres_px + truth.px_per_m[:, None] * errors.centre
    joints = true_joints + truth.px_per_m[:, None, None] * (errors.centre[:, None] + errors.joints)
    px_per_m = truth.px_per_m * np.exp(errors.log_scale)
    rays = np.ones((len(centres), 3))
    rays[:, :2] = (centres - PRINCIPAL_PX) / truth.focal_px[:, None]
    roots = joints[:, MUPOTS17.root]
    roots_mm = np.concatenate([(roots - PRINCIPAL_PX) / truth.focal_px[:, None], np.ones((len(roots), 1))], 1)
    roots_mm *= (1000 * truth.focal_px / px_per_m)[:, None]
    fields = Record(
        scores=np.clip(errors.score, LEAST_SCORE, 1),
        centres_px=centres,
        joints_px=joints,
        roots_mm=roots_mm,
        poses=_unit(true_bones + errors.poses),
        bones=_unit(true_bones + errors.bones),
        rays=rays,
        px_per_m=px_per_m,
        pulls=np.clip(errors.pulls, 0, 1),
        focal_px=truth.focal_px,
    )
    return Record(*(values.astype(np.float32) for values in fields))


def _with_neighbour(
    record: Record, swaps: np.ndarray, source: MotionSource, model: ErrorModel, *, rng: np.random.Generator
) -> Record:
    """Return a record in which spans show a neighbour, who is near in the picture, with other poses."""
    frames = len(swaps)
    view = source.view(rng, frames)
    truth = truth_of(view.joints_m, np.full(frames, view.focal_px), PRINCIPAL_PX)
    errors = conditions(truth) @ model.bias + draw_noise(model, view.seconds, rng)
    other = _record(truth, _split(errors), np.zeros(frames, bool), False)
    shown = swaps > 0
    near = rng.uniform(-0.5, 0.5, 2) * [1, 0.3]
    shift = record.centres_px + record.px_per_m[:, None] * near - other.centres_px
    scale = (record.px_per_m / other.px_per_m)[:, None, None]
    around = other.joints_px - other.centres_px[:, None]
    other = other._replace(
        centres_px=other.centres_px + shift,
        joints_px=other.centres_px[:, None] + shift[:, None] + scale * around,
        rays=record.rays,
        px_per_m=record.px_per_m * np.float32(np.exp(rng.normal(0, 0.15))),
        roots_mm=record.roots_mm,
        focal_px=record.focal_px,
    )
    return Record(*(np.where(_like(shown, own), new, own) for own, new in zip(record, other, strict=True)))


def _like(flags: np.ndarray, values: np.ndarray) -> np.ndarray:
    return flags.reshape(-1, *(1,) * (values.ndim - 1))


def _unit(bones: np.ndarray) -> np.ndarray:
    lengths = np.maximum(np.linalg.norm(bones, axis=1, keepdims=True), 1e-6)
    unit: np.ndarray = bones / lengths
    return unit
