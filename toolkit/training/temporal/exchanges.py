"""Exchanges of front and back: a detection with the silhouette of the truth that faces the other way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...network.torch_kinematics import MIRROR_BONES
from ...runtime.pose import MUPOTS17
from .error_model import torso_front
from .tracks import Track


def exchanged(track: Track) -> np.ndarray:
    """Return (T,) True where front and back are exchanged: the mirrored truth is nearer than the truth."""
    truth = track.truth.bones
    behind = (torso_front(track.record.bones) * torso_front(truth)).sum(axis=1) < 0
    own = np.linalg.norm(track.record.bones - truth, axis=1).mean(axis=1)
    other = np.linalg.norm(track.record.bones - exchange(truth), axis=1).mean(axis=1)
    result: np.ndarray = behind & (other < own) & track.is_seen
    return result


def exchange(bones: np.ndarray) -> np.ndarray:
    """Return bones (N, 3, B) of the same silhouette with front and back exchanged."""
    swapped = bones[..., MIRROR_BONES].copy()
    swapped[:, 2] *= -1
    return swapped


def exchanged_keypoints(tracks: Sequence[Track], flipped: Sequence[np.ndarray]) -> float:
    """Return the share of exchanges of front and back in which the joints in the picture are exchanged."""
    nearer = []
    for track, flips in zip(tracks, flipped, strict=True):
        truth, found = track.truth.joints_px[flips], track.record.joints_px[flips]
        own = np.linalg.norm(found - truth, axis=-1).mean(axis=1)
        other = np.linalg.norm(found - truth[:, list(MUPOTS17.mirror)], axis=-1).mean(axis=1)
        nearer.append(other < own)
    every = np.concatenate(nearer)
    return float(every.mean()) if len(every) else 0.0
