"""Metrics of pose estimation as pure functions.

As in the papers: errors in millimetres; PCK, AUC and AP in percent; OKS, recall and precision as fractions of
1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..runtime.pose import MUPOTS17, Skeleton

# COCO's 17 key points, standard deviations in units of the square root of the person's area.
COCO_SIGMAS = np.array([26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89]) / 1000
AUC_THRESHOLDS_MM = tuple(range(0, 151, 5))
# Head top, neck, arms and legs; pelvis, spine and head are not scored.
MUPOTS_SCORED = tuple(MUPOTS17.names[:14])
PCK_MM = 150.0
UNMATCHED_MM = 1e5  # the error of every joint of a missed person, as MuPoTS-3D counts it


def joint_errors_mm(found_mm: np.ndarray, truth_mm: np.ndarray) -> np.ndarray:
    """Return the distance of every joint (..., J) between two poses (..., J, 3)."""
    return np.asarray(np.linalg.norm(np.asarray(found_mm, np.float64) - truth_mm, axis=-1))


def mpjpe(found_mm: np.ndarray, truth_mm: np.ndarray) -> float:
    """Return the mean per-joint position error of root-relative poses (N, J, 3); NaN without people."""
    errors = joint_errors_mm(found_mm, truth_mm)
    return float(errors.mean()) if errors.size else float("nan")


def procrustes(found_mm: np.ndarray, truth_mm: np.ndarray) -> np.ndarray:
    """Return poses (..., J, 3) moved onto true ones by the best rotation, translation and scale.

    Umeyama, PAMI 1991; no reflection. A pose with all joints in one point is only moved. Leading axes
    broadcast.
    """
    centre, goal = (
        np.asarray(poses, np.float64).mean(axis=-2, keepdims=True) for poses in (found_mm, truth_mm)
    )
    a, b = found_mm - centre, truth_mm - goal
    u, stretch, v = np.linalg.svd(a.swapaxes(-1, -2) @ b)
    signs = np.ones_like(stretch)
    signs[..., -1] = np.where(np.linalg.det(u @ v) < 0, -1, 1)
    scale = (stretch * signs).sum(axis=-1) / np.maximum((a * a).sum(axis=(-1, -2)), 1e-12)
    return np.asarray(a @ ((u * signs[..., None, :]) @ v) * scale[..., None, None] + goal)


def pa_mpjpe(found_mm: np.ndarray, truth_mm: np.ndarray) -> float:
    """Return the mean joint error of poses (N, J, 3) after `procrustes` (with scale); NaN without people."""
    return mpjpe(procrustes(found_mm, truth_mm), truth_mm) if len(found_mm) else float("nan")


def rescale_bones(found_mm: np.ndarray, truth_mm: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return poses (N, J, 3) with found root and bone directions, and true bone lengths.

    MuPoTS-3D rescales before PCK: absolute size is neither visible nor judged.
    """
    rescaled = np.array(found_mm, np.float64)
    for joint in skeleton.bones:
        parent = skeleton.parents[joint]
        bone = np.asarray(found_mm[:, joint], np.float64) - found_mm[:, parent]
        length = np.linalg.norm(truth_mm[:, joint] - truth_mm[:, parent], axis=1, keepdims=True)
        rescaled[:, joint] = rescaled[:, parent] + bone * (
            length / np.maximum(np.linalg.norm(bone, axis=1, keepdims=True), 1e-9)
        )
    return rescaled


def pck(errors_mm: np.ndarray, threshold_mm: float = PCK_MM) -> float:
    """Return the percentage of joints with errors strictly below a threshold; NaN for no joints."""
    return float(100 * (np.asarray(errors_mm) < threshold_mm).mean()) if np.size(errors_mm) else float("nan")


def auc(errors_mm: np.ndarray, thresholds_mm: Sequence[float] = AUC_THRESHOLDS_MM) -> float:
    """Return the mean PCK over thresholds 0, 5, … 150 mm (31 of them, so a perfect pose reaches 96.77)."""
    return float(np.mean([pck(errors_mm, threshold) for threshold in thresholds_mm]))


def oks(
    found_px: np.ndarray, truth_px: np.ndarray, labelled: np.ndarray, *, area_px: float, sigmas: np.ndarray
) -> float:
    """Return COCO's object keypoint similarity of one person, 0..1, over labelled joints; NaN without any.

    exp(-d^2 / (2 area (2 sigma)^2)), mean over joints. Points (J, 2), labelled (J,), area of the person's
    outline.
    """
    squared = ((np.asarray(found_px, np.float64) - truth_px) ** 2).sum(axis=-1)
    similarity = np.exp(-squared / (2 * area_px * (2 * sigmas) ** 2 + 1e-9))[np.asarray(labelled, bool)]
    return float(similarity.mean()) if similarity.size else float("nan")


def average_precision(scores: np.ndarray, hits: np.ndarray, positives: int) -> float:
    """Return the area under precision over recall in percent: sum of P(n) (R(n) - R(n-1)) over all n.

    NaN without positives. RootNet's published code leaves out the first step.

    Args:
        scores: (P,) of all predictions. Equal scores keep their order.
        hits: (P,) bool, true positives.
        positives: number of true people.
    """
    if positives == 0:
        return float("nan")
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    found = np.cumsum(np.asarray(hits, bool)[order])
    precision = found / np.arange(1, len(order) + 1)
    return float(100 * (precision * np.diff(found, prepend=0)).sum() / positives)


def root_hits(
    scores: np.ndarray, roots_mm: np.ndarray, truth_mm: np.ndarray, *, within_mm: float = 250.0
) -> np.ndarray:
    """Return (P,) bool, the true positives of a picture: the nearest true root is in reach and not taken.

    Best score first. A prediction with its nearest root taken is a false positive, even with a second root in
    reach, as in RootNet's evaluation of AP_root at 25 cm (Moon et al., ICCV 2019).
    """
    hits, taken = np.zeros(len(scores), bool), set()
    for person in np.argsort(-np.asarray(scores, np.float64), kind="stable") if len(truth_mm) else ():
        apart = np.linalg.norm(np.asarray(truth_mm, np.float64) - roots_mm[person], axis=1)
        nearest = int(apart.argmin())
        if apart[nearest] < within_mm and nearest not in taken:
            hits[person] = True
            taken.add(nearest)
    return hits


def recall(found: int, people: int) -> float:
    """Return the fraction of people found; NaN without people."""
    return found / people if people else float("nan")


def precision(right: int, predictions: int) -> float:
    """Return the fraction of predictions that are right; NaN without predictions."""
    return right / predictions if predictions else float("nan")
