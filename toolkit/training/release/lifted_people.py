"""3D people from 2D key points: a 2D teacher, the lifter, and the fit that made the training labels.

These produced the labels of the reference network; here they are an estimator that it is compared with.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...evaluation.run import Estimate
from ...network.embedding import PoseEmbedding
from ...network.heads import reference_spec
from ...runtime.decoding.decode import no_people
from ...runtime.decoding.kinematics import ray_rotation
from ...runtime.pose import MUPOTS17, PoseFrame
from ..labels.fit_keypoints import FitSettings, fit_keypoints
from ..labels.lifter import Lifter
from ..labels.teacher import Teacher

Keypoints = Callable[[np.ndarray], np.ndarray]


def teachers_keypoints(teacher: Teacher, settings: FitSettings) -> Keypoints:
    """Return a function from a picture to the key points (N, 17, 3) of people with enough confident ones."""

    def detect(picture_bgr: np.ndarray) -> np.ndarray:
        keypoints = teacher(picture_bgr).keypoints
        return keypoints[(keypoints[..., 2] > settings.usable_confidence).sum(1) >= settings.min_points]

    return detect


def lifted_estimator(
    keypoints_of: Keypoints, embedding: PoseEmbedding, lifter: Lifter, *, settings: FitSettings | None = None
) -> Estimate:
    """Return an estimator that lifts and fits the people of detected key points.

    The skeleton is MUPOTS17 with its bone lengths; the default focal length is that of the reference network.
    """
    settings = settings or FitSettings()
    spec = reference_spec()

    def estimate(picture_bgr: np.ndarray, focal_px: float | None = None) -> PoseFrame:
        keypoints = keypoints_of(picture_bgr)
        if not len(keypoints):
            return no_people(spec)
        size = picture_bgr.shape[:2]
        lifted = fit_keypoints(keypoints, embedding, lifter, settings=settings)
        default_px = spec.focal_default * max(size)
        scores = keypoints[:, :, 2].mean(1)
        return people_of_lifted(lifted, scores, size, focal_px=default_px if focal_px is None else focal_px)

    return estimate


def people_of_lifted(
    lifted: dict[str, np.ndarray], scores: np.ndarray, size: tuple[int, int], *, focal_px: float
) -> PoseFrame:
    """Return people from lifted poses, placed before the camera as `decode_heads` places them.

    Args:
        lifted: result of `fit_keypoints`; joints are in the frame of the viewing ray.
        scores: (N,).
        size: (height, width) of the picture.
        focal_px: focal length; with the scale of a person it gives the distance.
    """
    principal_px = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    neck, pelvis = MUPOTS17.index("neck"), MUPOTS17.index("pelvis")
    joints_px = lifted["pelvis_px"][:, None] + lifted["px_per_m"][:, None, None] * lifted["joints_m"][..., :2]
    centres_px = joints_px[:, [neck, pelvis]].mean(1)

    def rays(points_px: np.ndarray) -> np.ndarray:
        return np.column_stack([(points_px - principal_px) / focal_px, np.ones(len(points_px))])

    joints_mm = 1000 * lifted["joints_m"] @ ray_rotation(rays(centres_px)).transpose(0, 2, 1)
    roots_mm = 1000 * focal_px / lifted["px_per_m"][:, None] * rays(joints_px[:, pelvis])
    return PoseFrame(
        *(np.asarray(values, np.float32) for values in (scores, centres_px, joints_mm, roots_mm, joints_px))
    )
