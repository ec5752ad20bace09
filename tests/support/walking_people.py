"""Made-up detections of people over time, with their evidence, for tests of the temporal stage."""

from __future__ import annotations

import numpy as np

from toolkit.network.temporal import TemporalNetwork
from toolkit.runtime.decoding.kinematics import forward_kinematics, ray_rotation
from toolkit.runtime.pose import PoseFrame, PoseSpec
from toolkit.runtime.temporal.evidence import DecodedPeople, Evidence

FOCAL_PX = 500.0
KEYPOINTS = 12


def detections(spec: PoseSpec, people: int, frames: int, seed: int = 0) -> list[DecodedPeople]:
    """Return consistent random people: bones jitter, centres drift, distances are about 4 m."""
    rng = np.random.default_rng(seed)
    bones = rng.normal(size=(people, 3, len(spec.skeleton.bones)))
    centres, pull = rng.uniform(100, 400, (people, 2)), rng.uniform(0, 1, (people, KEYPOINTS))
    found = []
    for _ in range(frames):
        bones = bones + 0.1 * rng.normal(size=bones.shape)
        centres = centres + rng.normal(size=centres.shape)
        found.append(_decoded(spec, bones, centres, pull, rng=rng))
    return found


def _decoded(
    spec: PoseSpec, bones: np.ndarray, centres: np.ndarray, pull: np.ndarray, *, rng: np.random.Generator
) -> DecodedPeople:
    people = len(bones)
    unit = (bones / np.linalg.norm(bones, axis=1, keepdims=True)).astype(np.float32)
    px_per_m = rng.uniform(110, 140, people).astype(np.float32)
    rays = np.ones((people, 3), np.float32)
    rays[:, :2] = (centres - 250) / FOCAL_PX
    joints = forward_kinematics(unit.transpose(0, 2, 1), spec.skeleton)
    middle = joints[:, [spec.skeleton.index(name) for name in spec.centre_joints]].mean(axis=1)
    joints_px = centres[:, None] + (px_per_m[:, None, None] / 1000) * (joints - middle[:, None])[..., :2]
    roots = np.ones((people, 3), np.float32)
    roots[:, :2] = (joints_px[:, spec.skeleton.root] - 250) / FOCAL_PX
    roots_mm = (1000 * FOCAL_PX / px_per_m)[:, None] * roots
    joints_mm = (ray_rotation(rays) @ joints.transpose(0, 2, 1)).transpose(0, 2, 1)
    scores = rng.uniform(0.3, 1, people)
    frame = (scores, centres, joints_mm, roots_mm, joints_px)
    embeddings = np.tanh(rng.normal(size=(people, spec.embedding_size))).astype(np.float32)
    poses = rng.normal(size=unit.shape).astype(np.float32)
    pulls = pull.astype(np.float32)
    return DecodedPeople(
        PoseFrame(*(np.asarray(values, np.float32) for values in frame)),
        Evidence(embeddings, poses, unit, rays, px_per_m, pulls, FOCAL_PX),
    )


def random_network(spec: PoseSpec, seed: int = 0, channels: int = 128) -> TemporalNetwork:
    """Return a temporal network whose every weight matters."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    network = TemporalNetwork(spec, channels).eval()
    with torch.no_grad():
        for parameter in network.outputs.parameters():
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))
        network.mean.copy_(0.1 * torch.randn(network.mean.shape, generator=generator))
        network.scale.copy_(0.5 + torch.rand(network.scale.shape, generator=generator))
    return network
