"""What two cameras teach: the pose of a person that both see, merged, in the frame of each viewing ray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...adaptation.relative_pose import RelativePose
from ...adaptation.sightings import Sightings
from ...runtime.decoding.kinematics import ray_rotation
from ...runtime.views.camera_poses import FIRST
from ...runtime.views.fuse import SETTINGS, fuse
from .latents import Latents

# Pairs are known: only impossible ones are left out.
_LIMITS = SETTINGS._replace(gap_mm=600.0, pose_mm=500.0, depth_ratio=2.5)


@dataclass(frozen=True)
class Lessons:
    """K pairs of readings of one person by cameras A and B, stacked: (2, K, ...).

    Attributes:
        vectors: (2, K, 256) latents.
        joints_m: (2, K, 17, 3) the merged pose, relative to the pelvis, in the frame of each viewing ray.
        farther: (2, K) logarithm of the merged distance relative to the camera's own estimate.
    """

    vectors: np.ndarray
    joints_m: np.ndarray
    farther: np.ndarray

    def __len__(self) -> int:
        return self.vectors.shape[1]


def lessons_of(
    a: Sightings, b: Sightings, found: RelativePose, latents: tuple[Sequence[Latents], Sequence[Latents]]
) -> Lessons:
    """Return the lessons of all pairs; pairs whose rays or poses contradict each other are left out."""
    poses = [FIRST, found.pose]
    vectors, joints, farther = [], [], []
    for frames, rows in zip(found.pairs.frames.tolist(), found.pairs.rows.tolist(), strict=True):
        people = [
            sightings.people[frame][[row]] for sightings, frame, row in zip((a, b), frames, rows, strict=True)
        ]
        merged = fuse(people, poses, _LIMITS)
        if merged.members != [{0: 0, 1: 0}]:
            continue
        both = [known[frame] for known, frame in zip(latents, frames, strict=True)]
        vectors.append([latent.vectors[row] for latent, row in zip(both, rows, strict=True)])
        turned, distances = [], []
        for pose, latent, row, own in zip(poses, both, rows, people, strict=True):
            to_ray = ray_rotation(latent.rays[[row]].copy())[0]
            turned.append(merged.people.joints_mm[0] @ pose.rotation @ to_ray / 1000)
            away = np.linalg.norm(merged.people.roots_mm[0] - pose.position_mm)
            distances.append(np.log(away / np.linalg.norm(own.roots_mm[0])))
        joints.append(turned)
        farther.append(distances)
    stacked = (np.array(values, np.float32) for values in (vectors, joints, farther))
    return Lessons(*(values.swapaxes(0, 1) if len(values) else values for values in stacked))
