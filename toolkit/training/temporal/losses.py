"""Losses of the temporal network: errors of positions, and of their changes between frames."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...network.keypoints import GRID
from ...runtime.decoding.kinematics import paths_mm
from ...runtime.pose import MUPOTS17
from .batches import Batch

NEAR_M = 0.15  # of a joint that the confidence counts
_PATHS_M = torch.from_numpy(np.ascontiguousarray(paths_mm(MUPOTS17).T)) / 1000  # (B, J)
_KEYPOINT_JOINTS = [MUPOTS17.index(name) for name in GRID.joints if name]
_CENTRE_M = _PATHS_M[:, [MUPOTS17.index("neck"), MUPOTS17.index("pelvis")]].mean(1, keepdim=True)
_KEYPOINT_PATHS_M = _PATHS_M[:, _KEYPOINT_JOINTS] - _CENTRE_M
_SMOOTH = 1e-8


class Predicted:
    """Corrections (N, O, T) applied to the first T frames of a batch.

    Attributes:
        joints_m: (N, T, 3, J) relative to the pelvis, frame of the viewing ray.
        errors: by name, (N, T, ..., D): joints, joints in the picture, centres and log distances.
        confidence: (N, T) before the sigmoid.
    """

    def __init__(self, corrections: Tensor, batch: Batch) -> None:
        rows = corrections.transpose(1, 2)
        count, frames = rows.shape[:2]
        bones = batch.bones[:, :frames]
        sizes = [bones.shape[2] * bones.shape[3], 2 * batch.joints_m.shape[2], 2, 1, 1]
        turned, moved, centres, distances, confidence = rows.split(sizes, -1)
        self.bones = functional.normalize(bones + turned.reshape(bones.shape), dim=2, eps=1e-6)
        self.joints_m = self.bones @ _PATHS_M
        self.moved_m = moved.reshape(count, frames, -1, 2)
        self.centres_m, self.log_distances = centres, distances[..., 0]
        true_joints = batch.true_bones[:, :frames] @ _PATHS_M
        self.errors = {
            "joints": (self.joints_m - true_joints).transpose(2, 3),
            "picture": self.moved_m - batch.joints_m[:, :frames],
            "centre": (centres - batch.centres_m[:, :frames])[:, :, None],
            "distance": (self.log_distances - batch.log_distances[:, :frames])[:, :, None, None],
        }
        self.confidence = confidence[..., 0]


def supervised_losses(predicted: Predicted, batch: Batch) -> dict[str, Tensor]:
    """Return mean errors over the labelled tracks: positions, velocities and accelerations, and confidence.

    Velocities and accelerations are differences of errors between frames, so slow errors cost nothing there.
    Tracks of few frames per second weigh less there, by powers of the rate: between their frames people move.
    """
    losses: dict[str, Tensor] = {}
    labelled = batch.is_labelled
    calm = batch.calm[labelled, None, None]
    for name, errors in predicted.errors.items():
        own = errors[labelled]
        losses[name] = _length(own).mean()
        change = own.diff(dim=1)
        losses[f"{name}_velocity"] = (calm**2 * _length(change)).mean()
        losses[f"{name}_acceleration"] = (calm**3 * _length(change.diff(dim=1))).mean()
    near = (_length(predicted.errors["joints"][labelled].detach()) < NEAR_M).float().mean(-1)
    losses["confidence"] = functional.binary_cross_entropy_with_logits(predicted.confidence[labelled], near)
    return losses


def projection_loss(predicted: Predicted, batch: Batch) -> Tensor:
    """Return the mean distance in metres between projected joints and their detected key points.

    It counts the tracks without labels alone (back-projection, Pavllo et al., CVPR 2019), and is 0 where all
    are labelled. Scaled orthographic projection about the corrected centre; key points are weighted by their
    pulls.
    """
    frames = predicted.bones.shape[1]
    scale = (-predicted.log_distances).exp()[:, :, None, None]
    places = (predicted.bones[:, :, :2] @ _KEYPOINT_PATHS_M).transpose(2, 3) * scale
    away = places + predicted.centres_m[:, :, None] - batch.joints[:, :frames, _KEYPOINT_JOINTS]
    pulls = batch.pulls[:, :frames] * (~batch.is_labelled)[:, None, None]
    return (pulls * _length(away)).sum() / pulls.sum().clamp(min=1.0)


def scale_loss(predicted: Predicted, labelled: Tensor) -> Tensor:
    """Return the difference of the mean log scale's change between labelled and other tracks.

    It takes the place of the paper's bone-length term: the skeleton's bones have fixed lengths, and the scale
    of a person is what a projection leaves open.
    """
    changes = predicted.log_distances
    if labelled.all() or not labelled.any():
        return changes.new_zeros(())
    return (changes[labelled].mean() - changes[~labelled].mean()).abs()


def _length(vectors: Tensor) -> Tensor:
    return (vectors.square().sum(-1) + _SMOOTH).sqrt()
