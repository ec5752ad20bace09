"""Judge the people of one picture by the rules of a protocol; see `protocols`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...runtime.pose import PoseFrame, Skeleton
from .. import metrics
from ..joints import in_joints
from .labelled import LabelledFrame

MATCH_PX = 40.0


class Rules(NamedTuple):
    """Whether bones get their true lengths, and whether figures are means over sequences."""

    rescale: bool
    by_sequence: bool


class Joints(NamedTuple):
    """The shared joints, and the indices in them for PCK and for matching."""

    skeleton: Skeleton
    scored: list[int]
    matching: list[int]


class Sums(NamedTuple):
    """Sums over the people of one picture; joints are counted, errors are in mm."""

    people: float = 0
    matched: float = 0
    predictions: float = 0
    asked: float = 0  # scored joints with a label
    asked_matched: float = 0
    near_rel: float = 0
    near_abs: float = 0
    auc: float = 0  # summed PCK over thresholds
    joints: float = 0  # joints of matched people
    mpjpe: float = 0
    pa_mpjpe: float = 0
    root: float = 0
    root_x: float = 0
    root_y: float = 0
    root_z: float = 0
    moving: float = 0  # joints with a velocity
    mpjve: float = 0


class Judged(NamedTuple):
    """One picture: its frame, sums, predictions, and the errors (J, 3) of matched people by number."""

    frame: LabelledFrame
    sums: Sums
    scores: np.ndarray
    hits: np.ndarray
    errors: dict[int, np.ndarray]


def match_by_joints(found_px: np.ndarray, truth_px: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs (found, true) of joints (P, M, 2) and (N, M, 2) by MuPoTS-3D's rule; see Matching."""
    pairs: list[tuple[int, int]] = []
    left = list(range(len(found_px)))
    for person, truth in enumerate(truth_px):
        near = (np.abs(found_px[left] - truth) < MATCH_PX).all(axis=-1).sum(axis=-1)
        if len(left) and near.max() > 0:
            pairs.append((left.pop(int(near.argmax())), person))
    return pairs


def judge_frame(
    found: PoseFrame | None, frame: LabelledFrame, *, labels: Skeleton, joints: Joints, rules: Rules
) -> Judged:
    """Return a picture's figures; `found` has the shared joints, `frame` those of `labels`."""
    truth = in_joints(frame.people, labels, joints.skeleton.names, root="pelvis")
    order = [labels.index(name) for name in joints.skeleton.names]
    universal = truth.joints_mm if frame.universal_mm is None else frame.universal_mm[:, order]
    asked = np.isfinite(truth.joints_mm).all(axis=-1)[:, joints.scored].sum(axis=1)
    sums = dict.fromkeys(Sums._fields, 0.0)
    sums.update(people=float(len(truth)), asked=float(asked.sum()))
    if found is None or not len(found):
        return Judged(frame, Sums(**sums), np.zeros(0), np.zeros(0, bool), {})
    errors = {}
    pairs = match_by_joints(found.joints_px[:, joints.matching], truth.joints_px[:, joints.matching])
    for mine, theirs in pairs:
        pose = found.joints_mm[mine].astype(np.float64)
        for name, value in _person(pose, truth.joints_mm[theirs], universal[theirs], joints, rules).items():
            sums[name] += value
        root = found.roots_mm[mine].astype(np.float64) - truth.roots_mm[theirs]
        sums["near_abs"] += _near(pose, truth.joints_mm[theirs], joints, rules, root)
        sums["asked_matched"] += float(asked[theirs])
        sums["root"] += float(np.linalg.norm(root))
        for axis, value in zip("xyz", np.abs(root).tolist()):
            sums[f"root_{axis}"] += value
        errors[int(frame.numbers[theirs])] = pose - universal[theirs]
    sums.update(matched=float(len(pairs)), predictions=float(len(found)))
    hits = metrics.root_hits(found.scores, found.roots_mm, truth.roots_mm)
    return Judged(frame, Sums(**sums), found.scores, hits, errors)


def _person(
    pose: np.ndarray, truth: np.ndarray, universal: np.ndarray, joints: Joints, rules: Rules
) -> dict[str, float]:
    """Return the sums of one matched person, (J, 3) poses relative to the pelvis."""
    known = np.isfinite(truth).all(axis=-1)
    aligned = metrics.procrustes(pose[known], universal[known])
    scored = _errors(pose, universal, joints, rules, np.zeros(3))
    thresholds = metrics.AUC_THRESHOLDS_MM
    return {
        "near_rel": float((scored < metrics.PCK_MM).sum()),
        "auc": float(sum((scored < threshold).sum() for threshold in thresholds)) / len(thresholds),
        "joints": float(known.sum()),
        "mpjpe": float(metrics.joint_errors_mm(pose[known], universal[known]).sum()),
        "pa_mpjpe": float(metrics.joint_errors_mm(aligned, universal[known]).sum()),
    }


def _near(pose: np.ndarray, truth: np.ndarray, joints: Joints, rules: Rules, root: np.ndarray) -> float:
    return float((_errors(pose, truth, joints, rules, root) < metrics.PCK_MM).sum())


def _errors(
    pose: np.ndarray, truth: np.ndarray, joints: Joints, rules: Rules, root: np.ndarray
) -> np.ndarray:
    """Return the errors of the scored joints that have a label; `root` is found minus true."""
    if rules.rescale:
        pose = metrics.rescale_bones(pose[None], truth[None], joints.skeleton)[0]
    errors = metrics.joint_errors_mm(pose + root, truth)[joints.scored]
    return np.asarray(errors[np.isfinite(errors)])


def with_velocity(part: Judged, before: Judged) -> Judged:
    """Return a picture with the velocity errors since the frame before, if that is consecutive."""
    if (part.frame.sequence, part.frame.index - 1) != (before.frame.sequence, before.frame.index):
        return part
    changes = [
        np.linalg.norm(error - before.errors[number], axis=-1)
        for number, error in part.errors.items()
        if number in before.errors
    ]
    values = np.concatenate([change[np.isfinite(change)] for change in changes] or [np.zeros(0)])
    return part._replace(sums=part.sums._replace(moving=float(len(values)), mpjve=float(values.sum())))
