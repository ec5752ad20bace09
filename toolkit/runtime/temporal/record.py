"""Records of tracked people, and the input of the temporal network that is made of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..pose_frame import PoseFrame
from .evidence import Evidence

# Motion between two frames is small: it is scaled to the size of the other inputs.
MOTION_SCALE = 10.0
USUAL_RATE = 30.0  # frames per second
MOST_OCTAVES = 3.0  # of the time between two frames, from that of USUAL_RATE
_SHORTEST_S = 1e-3
_NEAREST = 1e-3  # metres, and pixels per metre


class Record(NamedTuple):
    """The newest detections of N people, one per row.

    Attributes:
        scores: (N,).
        centres_px: (N, 2), in the picture.
        joints_px: (N, J, 2), in the picture.
        roots_mm: (N, 3), camera frame.
        poses: (N, 3, B) unit bone directions before the fit to key points, frame of the viewing ray.
        bones: (N, 3, B) the same after the fit to key points.
        rays: (N, 3) through the centres, z = 1, camera frame.
        px_per_m: (N,) pixels of the picture per metre at the person.
        pulls: (N, K) of key points.
        focal_px: (N,) of the picture.
    """

    scores: np.ndarray
    centres_px: np.ndarray
    joints_px: np.ndarray
    roots_mm: np.ndarray
    poses: np.ndarray
    bones: np.ndarray
    rays: np.ndarray
    px_per_m: np.ndarray
    pulls: np.ndarray
    focal_px: np.ndarray

    def take(self, which: np.ndarray) -> "Record":
        """Return some people, by a mask or by indices."""
        return Record(*(values[which] for values in self))

    def packed(self) -> np.ndarray:
        """Return all values as one matrix (N, R), which is indexed at once; see `unpacked`."""
        count = len(self.scores)
        return np.concatenate([values.reshape(count, -1) if count else _empty(values) for values in self], 1)


def _empty(values: np.ndarray) -> np.ndarray:
    return values.reshape(0, math.prod(values.shape[1:]))


def unpacked(matrix: np.ndarray, like: Record) -> Record:
    """Return the record of a matrix (N, R) as views, with the shapes of another record."""
    views, start, count = [], 0, len(matrix)
    for values in like:
        shape = values.shape
        if len(shape) == 1:
            views.append(matrix[:, start])
            start += 1
            continue
        end = start + math.prod(shape[1:])
        views.append(matrix[:, start:end].reshape(count, *shape[1:]))
        start = end
    return Record(*views)


def record_of(people: PoseFrame, evidence: Evidence, keypoints: int) -> Record:
    """Return the record of a picture's people; without a fit to key points their K pulls are 0."""
    pulls = evidence.pulls
    if not pulls.shape[1]:
        pulls = np.zeros((len(people), keypoints), np.float32)
    return Record(
        people.scores,
        people.centres_px,
        people.joints_px,
        people.roots_mm,
        evidence.poses,
        evidence.bones,
        evidence.rays,
        evidence.px_per_m,
        pulls,
        np.full(len(people), evidence.focal_px, np.float32),
    )


def features(record: Record, before: Record, seconds: np.ndarray, is_seen: np.ndarray) -> np.ndarray:
    """Return the network's input (N, F) float32, in this order.

    Bones 3 B, poses 3 B, joints in the picture 2 J (metres from the centre), pulls K, log of
    the distance in metres, ray 2, motion of centre 2 (metres) and log distance 1 since the frame before
    (times MOTION_SCALE), score, log of the time since then in octaves, and 1 where the person is seen.

    Args:
        record: of N people; the last one for people who are not seen.
        before: of the same people, one frame earlier; the same as `record` for new people.
        seconds: (N,) or (1,) time between the two.
        is_seen: (N,) False for people without a detection in this frame.
    """
    count = len(record.scores)
    seen = is_seen.astype(np.float32)[:, None]
    px_per_m = np.maximum(record.px_per_m, _NEAREST)[:, None]
    joints_m = (record.joints_px - record.centres_px[:, None]) / px_per_m[..., None]
    distance = np.log(np.maximum(record.focal_px[:, None] / px_per_m, _NEAREST))
    earlier = np.log(np.maximum(before.focal_px / np.maximum(before.px_per_m, _NEAREST), _NEAREST))[:, None]
    motion = np.concatenate([(record.centres_px - before.centres_px) / px_per_m, distance - earlier], axis=1)
    octaves = np.log2(USUAL_RATE * np.maximum(seconds, _SHORTEST_S))[:, None]
    octaves = np.broadcast_to(np.clip(octaves, -MOST_OCTAVES, MOST_OCTAVES), (count, 1))
    columns = (
        record.bones.reshape(count, 3 * record.bones.shape[2]),
        record.poses.reshape(count, 3 * record.poses.shape[2]),
        joints_m.reshape(count, 2 * joints_m.shape[1]),
        record.pulls * seen,
        distance,
        record.rays[:, :2],
        MOTION_SCALE * motion,
        record.scores[:, None] * seen,
        octaves,
        seen,
    )
    return np.concatenate(columns, axis=1).astype(np.float32, copy=False)
