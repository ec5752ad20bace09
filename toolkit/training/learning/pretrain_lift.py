"""Teach the lift of a KeypointNetwork its poses from skeletons: the paper's other modality, of which there is any number.

A cell near a skeleton's middle sees the ways to its key points as MoveNet would, with MoveNet's errors, and learns the pose. The
features of pictures come later (`train_network` with `--init`).
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...network.embedding import PoseEmbedding, load_embedding
from ...network.keypoints import MIRROR
from ...network.network import KeypointNetwork, told_ways
from ...runtime.pose import PoseSpec
from ..motion.mocap import load_mocap
from ..pictures.dataset import PERSON
from ..run.configuration import add_settings, chosen_settings
from ..run.runs import Clock, Run, set_learning_rate
from .alignment import KeypointOffsets, cycle_loss, lifted_poses
from .losses import person_losses
from .movenet import load_movenet
from .network_settings import LOSS_WEIGHTS
from .skeleton_scenes import Scenes, SceneSettings, draw_scenes
from .targets import sigma_cells


@dataclass(frozen=True)
class WayFaults:
    """How the ways to key points err.

    Attributes:
        jitter: standard deviation of a joint's place, in pixels of the input and per pixel of stature.
        hidden: factor where a joint cannot be seen.
        swapped: share of people whose left and right are exchanged.
    """

    jitter: tuple[float, float] = (1.5, 0.025)
    hidden: float = 2.5
    swapped: float = 0.03


@dataclass(frozen=True)
class LiftTraining:
    """Settings of the run, `minutes` long, on a cosine; `scenes` are drawn per step; `cycle` is the weight of `cycle_loss`."""

    minutes: float = 6.0
    scenes: int = 300
    learning_rate: float = 2e-3
    warm_up: int = 50
    weight_decay: float = 1e-4
    clip_norm: float = 5.0
    cycle: float = 0.0
    report_every: int = 100
    seed: int = 0


def train_lift(
    config: LiftTraining, trunk: Path, mocap_folder: Path, embedding_path: Path, out: Path
) -> None:
    """Train the lift and the heads of poses of a KeypointNetwork, and write the whole network.

    Args:
        config: settings.
        trunk: MoveNet.MultiPose, see `load_movenet`.
        mocap_folder: see `load_mocap`.
        embedding_path: the pose embedding, frozen.
        out: the safetensors file to write; `.jsonl` (progress) and `.state` (to resume from) stand beside it.
    """
    torch.manual_seed(config.seed)
    network = KeypointNetwork()
    load_movenet(network, trunk)
    spec, poses, embedding = (
        network.spec(),
        torch.from_numpy(load_mocap(mocap_folder)["train"]),
        load_embedding(embedding_path),
    )
    heads = [head for name, head in network.heads.items() if name != "centre"]
    learned = [
        p
        for part in (network.lift.enter, network.lift.think, network.auxiliary, *heads)
        for p in part.parameters()
    ]
    optimizer = torch.optim.AdamW(
        learned, config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay
    )
    generator, clock = torch.Generator().manual_seed(config.seed), Clock()
    run = Run(out, config, {"network": network, "optimizer": optimizer, "clock": clock}, generator)
    step, waiting = run.first, []
    while clock.spent_s < 60 * config.minutes:
        started = time.monotonic()
        done = clock.spent_s / (60 * config.minutes)
        pace = min(1.0, (step + 1) / config.warm_up) * 0.5 * (1 + math.cos(math.pi * done))
        set_learning_rate(optimizer, config.learning_rate * pace)
        losses = lift_losses(
            network,
            *draw_ways(poses, config.scenes, spec, embedding, generator),
            spec,
            embedding,
            bool(config.cycle),
        )
        weights = {**LOSS_WEIGHTS, "cycle": config.cycle}
        loss = sum(
            (weight * losses[name] for name, weight in weights.items() if name in losses), torch.zeros(())
        )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learned, config.clip_norm)
        optimizer.step()
        step += 1
        waiting.append({name: float(value.detach()) for name, value in losses.items()})
        clock.spent_s += time.monotonic() - started
        if len(waiting) >= config.report_every:
            run.report(
                step,
                {
                    "done": done,
                    **{name: float(np.mean([line[name] for line in waiting])) for name in waiting[0]},
                },
            )
            run.keep(step, network)
            waiting = []
    run.finish(network)


def lift_losses(
    network: KeypointNetwork,
    ways: Tensor,
    label: dict[str, Tensor],
    cells_px: Tensor,
    spec: PoseSpec,
    embedding: PoseEmbedding,
    cycle: bool = False,
) -> dict[str, Tensor]:
    """Return the losses of `person_losses` of what the network lifts from `draw_ways`' readings, no picture beside them.

    With `cycle`, `cycle_loss` as well; it teaches what follows the latent, and leaves how key points enter it alone.
    """
    read = lifted_poses(network, ways)
    weights, sigma = torch.ones(len(ways), device=ways.device), sigma_cells(label["px_per_m"], spec)
    losses = person_losses(read, label, cells_px, weights, sigma, spec, embedding.decode)
    if cycle:
        # Held: an encoder that made all latents equal would close every cycle.
        held = copy.deepcopy(network.lift.enter).requires_grad_(False)
        losses["cycle"] = cycle_loss(
            read, KeypointOffsets(ways, cells_px, weights), held, spec, embedding.decode
        )
    return losses


def draw_ways(
    poses: Tensor,
    count: int,
    spec: PoseSpec,
    embedding: PoseEmbedding,
    generator: torch.Generator,
    faults: WayFaults = WayFaults(),
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Return one cell's reading of every person in `count` random scenes of skeletons.

    Returns:
        The ways (K, 102) as `Ways` tells them; the labels (K, …); the places of the cells (K, 2) in pixels.
    """
    scenes = draw_scenes(poses, count, spec.input_size, embedding.encode, generator, SceneSettings())
    people = scenes.labels["status"] == PERSON
    label = {name: values[people] for name, values in scenes.labels.items()}
    label["px_per_m"] = label["px_per_m"].clamp(min=1.0)
    centre = (label["centres_px"] - spec.cell_origin_px) / spec.stride
    near = (
        torch.randn(centre.shape, generator=generator, device=centre.device)
        * sigma_cells(label["px_per_m"], spec)[:, None]
    )
    cells_px = (centre + 0.7 * near).round() * spec.stride + spec.cell_origin_px
    return told_ways(_faulty(scenes, people, generator, faults) - cells_px[:, None]), label, cells_px


def _faulty(scenes: Scenes, people: Tensor, generator: torch.Generator, faults: WayFaults) -> Tensor:
    """Return where MoveNet would say that the joints of people are, (K, 17, 2)."""
    points, visible, stature = scenes.points_px[people], scenes.visible[people], scenes.stature_px[people]
    device = points.device
    jitter = (faults.jitter[0] + faults.jitter[1] * stature)[:, None] * torch.where(
        visible > 0.3, 1.0, faults.hidden
    )
    points = points + jitter[..., None] * torch.randn(points.shape, generator=generator, device=device)
    swapped = torch.rand(len(points), 1, 1, generator=generator, device=device) < faults.swapped
    return torch.where(swapped, points[:, MIRROR], points)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `train_lift` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train lift",
        description="Teach the lift from key points to poses, from skeletons.",
        epilog="example: posec train lift --trunk movenet-multipose.json --mocap mocap/ --embedding embedding.safetensors --out lift.safetensors",
    )
    parser.add_argument(
        "--trunk", type=Path, required=True, help="MoveNet.MultiPose as .json, its weights beside it"
    )
    parser.add_argument("--mocap", type=Path, required=True, help="folder of motion-capture .npz files")
    parser.add_argument(
        "--embedding", type=Path, required=True, help="safetensors file of the pose embedding"
    )
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--threads", type=int, default=1)
    add_settings(parser, LiftTraining, "lift")
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    train_lift(
        chosen_settings(chosen, LiftTraining), chosen.trunk, chosen.mocap, chosen.embedding, chosen.out
    )


if __name__ == "__main__":
    main()
