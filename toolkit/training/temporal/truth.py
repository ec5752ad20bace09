"""The truth of people as a `Record` of the temporal stage has it: the record of a network without errors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...runtime.decoding.kinematics import ray_rotation
from ...runtime.pose import MUPOTS17

CENTRE_JOINTS = [MUPOTS17.index("neck"), MUPOTS17.index("pelvis")]
SMALLEST_M = 0.3  # of a distance to the camera


class Truth(NamedTuple):
    """N true people; frames of reference and units as in `Record`.

    Attributes:
        bones: (N, 3, B) unit directions, frame of the viewing ray.
        joints_px: (N, J, 2).
        centres_px: (N, 2).
        rays: (N, 3).
        px_per_m: (N,) at the pelvis.
        roots_m: (N, 3).
        focal_px: (N,).
    """

    bones: np.ndarray
    joints_px: np.ndarray
    centres_px: np.ndarray
    rays: np.ndarray
    px_per_m: np.ndarray
    roots_m: np.ndarray
    focal_px: np.ndarray

    def take(self, which: np.ndarray) -> Truth:
        """Return some people, by a mask or by indices."""
        return Truth(*(values[which] for values in self))


def truth_of(joints_m: np.ndarray, focal_px: np.ndarray, principal_px: np.ndarray) -> Truth:
    """Return the truth of joints (N, 17, 3) in the camera frame, in metres.

    Args:
        joints_m: of N people.
        focal_px: (N,) of their pictures.
        principal_px: (2,) or (N, 2), x and y.
    """
    depth = np.maximum(joints_m[..., 2:], SMALLEST_M)
    offset = np.broadcast_to(principal_px, (len(joints_m), 2))[:, None]
    joints_px = focal_px[:, None, None] * joints_m[..., :2] / depth + offset
    centres_px = joints_px[:, CENTRE_JOINTS].mean(axis=1)
    rays = np.ones((len(joints_m), 3))
    rays[:, :2] = (centres_px - offset[:, 0]) / focal_px[:, None]
    ends = list(MUPOTS17.bones)
    bones = joints_m[:, ends] - joints_m[:, [MUPOTS17.parents[joint] for joint in ends]]
    bones = bones @ ray_rotation(rays.copy())  # into the frame of the viewing ray
    bones /= np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-6)
    roots = joints_m[:, MUPOTS17.root]
    px_per_m = focal_px / np.maximum(roots[:, 2], SMALLEST_M)
    return Truth(bones.transpose(0, 2, 1), joints_px, centres_px, rays, px_per_m, roots, focal_px)
