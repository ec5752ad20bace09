"""Batches of tracks as tensors: features and targets of the temporal network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...network.keypoints import GRID
from ...network.torch_kinematics import MIRROR_BONES
from ...runtime.pose import MUPOTS17
from ...runtime.temporal.record import Record, features
from .motion import FASTEST_HZ
from .tracks import Track
from .truth import Truth

_KEYPOINTS = [name for name in GRID.joints if name]
_SWAPPED = {"left": "right", "right": "left"}
_PULLS = [
    _KEYPOINTS.index(name.replace(name.split("_")[0], _SWAPPED[name.split("_")[0]])) for name in _KEYPOINTS
]


class Batch(NamedTuple):
    """N tracks of T frames; lengths in metres.

    Attributes:
        features: (N, F, T), see `runtime.temporal.record.features`.
        bones: (N, T, 3, B) of the records.
        true_bones: (N, T, 3, B).
        joints_m: (N, T, J, 2) true change of the joints in the picture, relative to the centre.
        centres_m: (N, T, 2) true change of the centres in the picture.
        log_distances: (N, T) true change.
        joints: (N, T, J, 2) detected joints in the picture, metres from the centre.
        pulls: (N, T, K) of key points.
        calm: (N,) weight of changes between frames: frames per second relative to FASTEST_HZ.
        is_labelled: (N,) False where the truth may not be used.
    """

    features: Tensor
    bones: Tensor
    true_bones: Tensor
    joints_m: Tensor
    centres_m: Tensor
    log_distances: Tensor
    joints: Tensor
    pulls: Tensor
    calm: Tensor
    is_labelled: Tensor


def batch_of(tracks: Sequence[Track], is_labelled: Sequence[bool] | None = None) -> Batch:
    """Return tracks of equal lengths as a batch; by default all are labelled."""
    count, frames = len(tracks), len(tracks[0].seconds)
    record = Record(*(np.concatenate(values) for values in zip(*(t.record for t in tracks), strict=True)))
    truth = Truth(*(np.concatenate(values) for values in zip(*(t.truth for t in tracks), strict=True)))
    earlier = np.maximum(np.arange(frames) - 1, 0)
    before = record.take((frames * np.arange(count)[:, None] + earlier).reshape(-1))
    seconds = np.concatenate([track.seconds for track in tracks])
    is_seen = np.concatenate([track.is_seen for track in tracks])
    inputs = features(record, before, seconds, is_seen)
    scale = record.px_per_m[:, None]
    around = (record.joints_px - record.centres_px[:, None]) / scale[..., None]
    true_around = (truth.joints_px - truth.centres_px[:, None]) / scale[..., None]

    def by_frame(values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).unflatten(0, (count, frames))

    return Batch(
        features=by_frame(inputs).transpose(1, 2),
        bones=by_frame(record.bones),
        true_bones=by_frame(truth.bones),
        joints_m=by_frame(true_around - around),
        centres_m=by_frame((truth.centres_px - record.centres_px) / scale),
        log_distances=by_frame(np.log(record.px_per_m / truth.px_per_m)),
        joints=by_frame(around),
        pulls=by_frame(record.pulls),
        calm=torch.tensor([1 / (track.seconds[-1] * FASTEST_HZ) for track in tracks]).float(),
        is_labelled=torch.tensor([True] * count if is_labelled is None else list(is_labelled)),
    )


def varied(track: Track, rng: np.random.Generator) -> Track:
    """Return a track that is mirrored, and that runs backwards, with probability 0.5 each."""
    if rng.random() < 0.5:
        track = mirrored(track)
    return reversed_track(track) if rng.random() < 0.5 else track


def mirrored(track: Track) -> Track:
    """Return the track that a mirrored camera would give; x in the picture is counted from the middle."""
    record, truth, sides = track.record, track.truth, list(MUPOTS17.mirror)
    flip = np.array([-1, 1], np.float32)
    flip_3d = np.array([-1, 1, 1], np.float32)

    def bones(values: np.ndarray) -> np.ndarray:
        return values[..., MIRROR_BONES] * flip_3d[:, None]

    return track._replace(
        record=record._replace(
            centres_px=record.centres_px * flip,
            joints_px=record.joints_px[:, sides] * flip,
            roots_mm=record.roots_mm * flip_3d,
            poses=bones(record.poses),
            bones=bones(record.bones),
            rays=record.rays * flip_3d,
            pulls=record.pulls[:, _PULLS],
        ),
        truth=truth._replace(
            bones=bones(truth.bones),
            joints_px=truth.joints_px[:, sides] * flip,
            centres_px=truth.centres_px * flip,
            rays=truth.rays * flip_3d,
            roots_m=truth.roots_m * flip_3d,
        ),
    )


def reversed_track(track: Track) -> Track:
    """Return a track in reverse order; a missed person keeps the detection that now comes before."""
    back = np.arange(len(track.seconds))[::-1]
    is_seen = track.is_seen[back]
    held = np.maximum.accumulate(np.where(is_seen, np.arange(len(back)), 0))
    record = track.record.take(back[held])
    return Track(record, track.truth.take(back), is_seen, track.seconds[back], track.clip)


def cropped(track: Track, frames: int, rng: np.random.Generator) -> Track:
    """Return a random stretch of a track that begins with a detection."""
    starts = np.flatnonzero(track.is_seen[: len(track.seconds) - frames + 1])
    return _rows(track, int(rng.choice(starts)) + np.arange(frames))


def jumping(track: Track, rng: np.random.Generator) -> Track:
    """Return a track that jumps to another of its times; the part before and the one after may be held."""
    frames = len(track.seconds)
    jump = int(rng.integers(frames // 3, frames - 2))
    parts = [np.arange(jump), np.roll(np.arange(frames), int(rng.integers(1, frames)))[jump:]]
    held = [np.full_like(part, part[0]) if rng.random() < 0.5 else part for part in parts]
    return _rows(track, np.concatenate(held))._replace(seconds=track.seconds)


def _rows(track: Track, rows: np.ndarray) -> Track:
    return Track(
        track.record.take(rows), track.truth.take(rows), track.is_seen[rows], track.seconds[rows], track.clip
    )
