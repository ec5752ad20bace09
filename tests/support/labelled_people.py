"""People whose labels are known exactly, and the raw maps of a network that says just that of them."""

from __future__ import annotations

import numpy as np
import torch
from captured import captured_poses

from toolkit.network.embedding import PoseEmbedding
from toolkit.network.torch_kinematics import (
    bone_lengths_m,
    forward_kinematics,
    rotation_from_6d,
    rotation_to_6d,
)
from toolkit.training.pictures.dataset import pack
from toolkit.training.pictures.people import KEYPOINT_JOINTS, People

HEIGHT, WIDTH = 160, 120
PX_PER_M = 60.0


def people_in_a_portrait(model: PoseEmbedding, count: int = 1, seed: int = 0) -> People:
    """People whose joints, embeddings and keypoints agree exactly, in the middle of a portrait."""
    rng = np.random.default_rng(seed)
    directions = torch.from_numpy(captured_poses(count))
    with torch.no_grad():
        codes = model.encode(directions)
        rotation = rotation_from_6d(torch.tensor([[0.1, -1.0, 0.2, 0.8, 0.0, 0.3]]).repeat(count, 1))
        joints = (
            forward_kinematics(model.decode(codes), bone_lengths_m()) @ rotation.transpose(1, 2)
        ).numpy()
    pelvis = np.array([WIDTH / 2, HEIGHT / 2], np.float32) + rng.uniform(-4, 4, (count, 2)).astype(np.float32)
    keypoints = pelvis[:, None] + PX_PER_M * joints[:, KEYPOINT_JOINTS, :2]
    return People(
        boxes=np.concatenate([keypoints.min(1), keypoints.max(1)], 1).astype(np.float32), embedding=codes.numpy(),
        embedding_mirrored=-codes.numpy(), rotation=rotation.numpy(), px_per_m=np.full(count, PX_PER_M, np.float32), pelvis_px=pelvis,
        joints_m=joints, keypoints_px=keypoints.astype(np.float32), visible=np.ones((count, 12), np.float32),
        residual=np.zeros(count, np.float32), usable=np.ones(count, bool), exact=np.zeros(count, bool),
    )  # fmt: skip


def batch_of(people: People) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array)[None] for name, array in pack(people, 32).items()}


def perfect_maps(people: People) -> dict[str, torch.Tensor]:
    """Raw maps that say in every cell what the one person's labels say."""
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(56.0), indexing="ij")
    centre = torch.from_numpy(people.centres_px[0] / 8)
    offset = torch.stack([centre[0] - columns, centre[1] - rows])
    joints = torch.from_numpy(people.keypoints_px[0]).flatten()[:, None, None]
    cells = torch.stack([columns, rows]).repeat(12, 1, 1) * 8

    def everywhere(values: torch.Tensor) -> torch.Tensor:
        return values.flatten()[None, :, None, None].expand(1, -1, 32, 56).clone()

    heat = torch.full((1, 1, 32, 56), -12.0)
    heat[0, 0, round(float(centre[1])), round(float(centre[0]))] = 12.0
    return {
        "centre": heat,
        "offset": torch.atanh((offset / 4).clamp(-0.999, 0.999))[None],
        "embedding": everywhere(torch.atanh(torch.from_numpy(people.embedding[0]).clamp(-0.99999, 0.99999))),
        "rotation": everywhere(torch.atanh(0.5 * rotation_to_6d(torch.from_numpy(people.rotation[0])))),
        "depth": everywhere(torch.atanh(-torch.log(torch.tensor(people.px_per_m[0] / 64)) / 3)),
        "auxiliary": ((joints - cells) / people.px_per_m[0])[None],
    }
