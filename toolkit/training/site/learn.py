"""Teach the pose heads what the cameras of a site agree on, and hold what they knew."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...network.heads import PoseMaps, to_units
from ...network.network import KeypointNetwork
from ...network.torch_kinematics import rotation_from_6d
from ..learning.losses import posed_joints
from .lessons import Lessons

LEARNING_HEADS = ("embedding", "rotation", "depth")


@dataclass(frozen=True)
class SiteSettings:
    """Settings of the adaptation.

    Attributes:
        steps: gradient steps.
        batch: pairs per step.
        learning_rate: of Adam, falling to 0 by a cosine.
        depth_weight: weight of the distance, against joints in m.
        embedding_weight: weight of equal embeddings of one person in two cameras.
        anchor_weight: weight of unchanged outputs on people from elsewhere.
        keep_weight: weight of unchanged weights.
        seed: of the batches.
    """

    steps: int = 600
    batch: int = 128
    learning_rate: float = 3e-4
    depth_weight: float = 0.1
    embedding_weight: float = 0.05
    anchor_weight: float = 1.0
    keep_weight: float = 0.05
    seed: int = 0


def adapted(
    network: KeypointNetwork,
    lessons: Lessons,
    elsewhere: np.ndarray,
    *,
    decode: Callable[[Tensor], Tensor],
    settings: SiteSettings,
    progress: Callable[[int, int], None] | None = None,
) -> KeypointNetwork:
    """Return a copy of the network with pose heads that learned the lessons.

    Backbone, centres and key points stay as they are, so people are found as before.

    Args:
        network: stays as it is.
        lessons: of the site.
        elsewhere: (N, 256) latents of people from other places, which the heads must keep.
        decode: embeddings (K, E) to unit bone directions (K, 16, 3).
        settings: see SiteSettings.
        progress: called with (steps done, steps in all).
    """
    learner = copy.deepcopy(network).eval().requires_grad_(False)
    parts = [learner.lifting_head.mlp, *(learner.heads[name] for name in LEARNING_HEADS)]
    parameters = [parameter for part in parts for parameter in part.parameters()]
    before = [parameter.detach().clone() for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.Adam(parameters, settings.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.steps)
    generator = torch.Generator().manual_seed(settings.seed)
    vectors, joints_m, farther = (
        torch.from_numpy(values) for values in (lessons.vectors, lessons.joints_m, lessons.farther)
    )
    others = torch.from_numpy(elsewhere)
    with torch.no_grad():
        depth = farther + read(network, vectors.flatten(0, 1)).depth[:, 0].unflatten(0, (2, -1))
        known = read(network, others)
    for step in range(settings.steps):
        chosen = torch.randint(len(lessons), (settings.batch,), generator=generator)
        maps = read(learner, vectors[:, chosen].flatten(0, 1))
        found = posed_joints(maps.embedding, rotation_from_6d(maps.rotation), decode)
        joint_loss = (found - joints_m[:, chosen].flatten(0, 1)).norm(dim=-1).mean()
        depth_loss = (maps.depth[:, 0] - depth[:, chosen].flatten(0, 1)).abs().mean()
        one, other = maps.embedding.unflatten(0, (2, -1))
        loss = joint_loss + settings.depth_weight * depth_loss
        loss = loss + settings.embedding_weight * (one - other).abs().mean()
        loss = loss + settings.anchor_weight * _changed(read(learner, others), known)
        drift = sum(((now - then) ** 2).sum() for now, then in zip(parameters, before, strict=True))
        loss = loss + settings.keep_weight * drift
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress:
            progress(step + 1, settings.steps)
    return learner.requires_grad_(True)


def read(network: KeypointNetwork, vectors: Tensor) -> PoseMaps:
    """Return the pose heads (K, C) at cells with latents (K, 256); `centre` is not read."""
    lifted = network.lifting_head(vectors[..., None, None])
    raw = {name: network.heads[name](lifted)[..., 0, 0] for name in ("offset", *LEARNING_HEADS)}
    return to_units({"centre": raw["depth"], **raw})


def _changed(now: PoseMaps, then: PoseMaps) -> Tensor:
    """Return the mean change of the learning heads, 0 without people."""
    if not len(now.depth):
        return torch.zeros(())
    changes = [(getattr(now, name) - getattr(then, name)).abs().mean() for name in LEARNING_HEADS]
    return torch.stack(changes).sum()
