"""People in 3D by way of 2D key points: a teacher, then the lifter and the fit that also made the training labels.

This is the chain that taught the reference network, run as an estimator of its own, so that the two can be compared.
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
from ..labels.fit_keypoints import Refinement, refine
from ..labels.lifter import Lifter
from ..labels.teacher import Teacher

Keypoints = Callable[[np.ndarray], np.ndarray]


def teachers_keypoints(teacher: Teacher, how: Refinement) -> Keypoints:
    """Return a function from a picture to the key points (N, 17, 3) of the people that a teacher is sure enough of to teach them."""

    def find(picture_bgr: np.ndarray) -> np.ndarray:
        keypoints = teacher(picture_bgr).keypoints
        return keypoints[(keypoints[..., 2] > how.sure_confidence).sum(1) >= how.sure_points]

    return find


def lifted_estimator(
    keypoints_of: Keypoints, embedding: PoseEmbedding, lifter: Lifter, how: Refinement | None = None
) -> Estimate:
    """Return an estimator of the people whose key points a function finds, each lifted and then fitted.

    The skeleton is MUPOTS17 at its own bone lengths, the focal length by default that of the reference network.
    """
    how = how or Refinement()
    spec = reference_spec()

    def estimate(picture_bgr: np.ndarray, focal_px: float | None = None) -> PoseFrame:
        keypoints = keypoints_of(picture_bgr)
        if not len(keypoints):
            return no_people(spec)
        size = picture_bgr.shape[:2]
        lifted = refine(keypoints, embedding, lifter, how)
        return people_of_lifted(
            lifted,
            keypoints[:, :, 2].mean(1),
            size,
            spec.focal_default * max(size) if focal_px is None else focal_px,
        )

    return estimate


def people_of_lifted(
    lifted: dict[str, np.ndarray], scores: np.ndarray, size: tuple[int, int], focal_px: float
) -> PoseFrame:
    """Return people of what `refine` found in a picture of a size (height, width), as `decode_heads` places those of a network.

    Joints leave the frame of the ray through the person's centre for the camera's; the scale at the person is the distance.
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
