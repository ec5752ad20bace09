"""The settings of a training run of the image network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import PosecError
from .compose import Mixture
from .configuration import read_section

Batch = tuple[Tensor, dict[str, Tensor]]
LOSS_WEIGHTS = {"centre": 1.0, "offset": 0.3, "embedding": 0.6, "rotation": 0.5, "depth": 0.5, "joints": 2.0, "projection": 2.0,
                "auxiliary": 1.0}  # fmt: skip


@dataclass(frozen=True)
class NetworkTraining:
    """Settings of the run.

    Attributes:
        init: safetensors of a whole network to start from; empty to start from the trunk of PoseNet.
        pictures: length of the run; 0 where `minutes` says it.
        minutes: the same as time spent training, interruptions not counted.
        batch: pictures per step.
        learning_rate, trunk_rate: at their highest; both follow a cosine over the run. A trunk_rate of 0 keeps the trunk, and the
            layers that read PoseNet's maps, as they are, which makes steps cheaper.
        trunk_waits: steps before the trunk moves, where it starts under heads that know nothing.
        warm_up: steps of linear rise.
        weight_decay, clip_norm: the norm is clipped for trunk and heads separately.
        integers: share of steps in which the trunk's maps are rounded as 8 bits would round them; needs a trunk_rate of 0.
        anchor: weight of staying close to PoseNet, see `PoseNetAnchor`; 0 for none.
        anchor_pictures: pictures of each batch that this is asked of.
        keypoints: weight of reading the labelled key points from the trunk, see `keypoint_loss`; for a JointNetwork whose trunk moves.
        align: weight of drawing pictures to their labelled key points in the latent space, see `alignment_loss`; for a JointNetwork.
        cycle: weight of finding a scene of skeletons again by the people read from it, see `cycle_loss`; for a JointNetwork that
            learns scenes of skeletons.
        agree: weight of finding the same people in other views of a picture, see `agreement_loss`.
        agree_pictures: pictures of each batch that are seen another time.
        fitted: weight of 3D poses that were fitted to key points; 0 learns from photographs by their key points alone, as the paper does.
        average: decay per step of the averaged weights, which are what is kept.
        losses: weights by name, see `pose_losses`.
        mixture: see `Mixture`.
    """

    init: str = ""
    pictures: int = 0
    minutes: float = 0.0
    batch: int = 16
    learning_rate: float = 1e-3
    trunk_rate: float = 2e-4
    trunk_waits: int = 80
    warm_up: int = 60
    weight_decay: float = 1e-4
    clip_norm: float = 8.0
    integers: float = 0.0
    anchor: float = 0.25
    anchor_pictures: int = 4
    keypoints: float = 0.0
    align: float = 0.0
    cycle: float = 0.0
    agree: float = 0.0
    agree_pictures: int = 4
    fitted: float = 1.0
    average: float = 0.998
    seed: int = 0
    report_every: int = 25
    save_every_s: float = 60.0
    losses: Mapping[str, float] = field(default_factory=lambda: dict(LOSS_WEIGHTS))
    mixture: Mixture = field(default_factory=Mixture)


def read_settings(path: Path, section: str = "network") -> NetworkTraining:
    """Return the [network] section of a configuration file, with what another section says in its place.

    Raises PosecError naming an unknown or missing entry.
    """
    plain = read_section(path, "network")
    if section != "network":
        plain |= read_section(path, section)
    losses = {**LOSS_WEIGHTS, **plain.pop("losses", {})}
    mixture: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.pop("mixture", {}).items()}
    if unknown := set(losses) - set(LOSS_WEIGHTS):
        raise PosecError(f"'{path}': no loss {', '.join(sorted(unknown))}; known: {', '.join(LOSS_WEIGHTS)}")
    try:
        return NetworkTraining(**plain, losses=losses, mixture=Mixture(**mixture))
    except TypeError as error:
        raise PosecError(f"'{path}' has no usable [{section}] section: {error}") from error
