"""The float network's own unsteadiness: how far its people move if the picture hardly changes.

A drift below it cannot be distinguished from the effect of a slightly different picture.
"""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from ...runtime.errors import PosecError
from ...runtime.files.pictures import decode_picture, encode_picture
from ...runtime.pose import PoseFrame, Skeleton
from ..drift import NO_LIMITS, measure_drift
from .drift_parts import Unsteadiness

JPEG_QUALITY = 90
PERTURBATION = f"shifted by 1 px and re-encoded as JPEG of quality {JPEG_QUALITY}"


def perturbed(picture_bgr: np.ndarray) -> np.ndarray:
    """Return a picture (H, W, 3) uint8 moved right by one pixel, its border repeated, as a JPEG shows it."""
    shift = np.array([[1, 0, 1], [0, 1, 0]], np.float32)
    height, width = picture_bgr.shape[:2]
    moved = cv2.warpAffine(picture_bgr, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return decode_picture(encode_picture(moved, ".jpg", JPEG_QUALITY), "a picture for the unsteadiness")


def measure_unsteadiness(
    changed: Iterable[PoseFrame], people: Iterable[PoseFrame], skeleton: Skeleton
) -> Unsteadiness | None:
    """Return the drift between the float network's people on `perturbed` pictures and on the pictures.

    None if the network finds no people on the pictures.
    """
    try:
        drift = measure_drift(changed, people, skeleton, allowed=NO_LIMITS)
    except PosecError:
        return None
    return Unsteadiness(
        drift_mm=drift.drift_mm,
        drift_p50_mm=drift.drift_p50_mm,
        drift_p95_mm=drift.drift_p95_mm,
        people_lost=drift.people_lost,
        people_invented=drift.people_invented,
        perturbation=PERTURBATION,
    )
