"""Evidence: input of the temporal stage for the people of one picture, beyond their PoseFrame."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..pose import PoseSpec
from ..pose_frame import PoseFrame


class Evidence(NamedTuple):
    """N people, in the order of the PoseFrame of the same picture.

    Attributes:
        embeddings: (N, E) float32, the network's pose embeddings.
        poses: (N, 3, B) float32, unit bone directions of embedding and rotation, frame of the viewing ray.
        bones: (N, 3, B) float32, the same after the fit to key points.
        rays: (N, 3) float32, camera frame, z = 1, through the centres.
        px_per_m: (N,) float32, pixels of the picture per metre at the person.
        pulls: (N, K) float32 in 0..1, weight of each key point in the fit; K is 0 without key-point heads.
        focal_px: of the picture.
    """

    embeddings: np.ndarray
    poses: np.ndarray
    bones: np.ndarray
    rays: np.ndarray
    px_per_m: np.ndarray
    pulls: np.ndarray
    focal_px: float

    def take(self, which: np.ndarray) -> "Evidence":
        """Return some people, by a mask or by indices."""
        return self._replace(**{name: getattr(self, name)[which] for name in self._fields[:-1]})


class Origin(NamedTuple):
    """Values of the heads at N people.

    Attributes:
        embeddings: (N, E), pose embeddings.
        poses: (N, 3, B), bones before the fit to key points.
        pulls: (N, K) of key points; K is 0 without the fit.
    """

    embeddings: np.ndarray
    poses: np.ndarray
    pulls: np.ndarray

    def take(self, which: np.ndarray) -> "Origin":
        """Return some of them, by a mask or by indices."""
        return Origin(self.embeddings[which], self.poses[which], self.pulls[which])


class DecodedPeople(NamedTuple):
    """The people of one picture, and their evidence for the temporal stage."""

    people: PoseFrame
    evidence: Evidence


def no_evidence(spec: PoseSpec) -> Evidence:
    """Return the evidence of a picture without people."""
    bones = np.zeros((0, 3, len(spec.skeleton.bones)), np.float32)
    embeddings, rays, px_per_m, pulls = (
        np.zeros(shape, np.float32) for shape in ((0, spec.embedding_size), (0, 3), (0,), (0, 0))
    )
    return Evidence(embeddings, bones, bones, rays, px_per_m, pulls, focal_px=1.0)
