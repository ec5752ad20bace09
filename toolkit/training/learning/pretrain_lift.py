"""Pretrain the lifting head and the pose heads on skeletons (stage 1 of Kundu et al., ECCV 2020).

The input is the offsets from a cell near a person to the key points, with the errors of MoveNet. Features of
pictures are learned later, by `train_network` with `--init`.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ...network.embedding import PoseEmbedding, load_embedding
from ...network.keypoints import MIRROR, encode_offsets
from ...network.network import KeypointNetwork
from ...runtime.command.refusals import exit_status
from ...runtime.pose import PoseSpec
from ..motion.mocap import load_mocap
from ..pictures.dataset import PERSON
from ..run.configuration import add_settings, chosen_settings
from ..run.runs import Run, RunFiles, RunPlan, save_weights, seed_all
from ..run.steps import set_learning_rates, take_step, warm_cosine, weighted_sum
from .alignment import EncodedKeypoints, cycle_loss, lifted_poses
from .losses import Readings, person_losses
from .movenet import load_movenet
from .network_settings import LOSS_WEIGHTS
from .skeleton_scenes import MIN_VISIBLE, Scenes, SceneSettings, draw_scenes
from .targets import sigma_cells


@dataclass(frozen=True)
class KeypointErrors:
    """Errors of a key-point detector.

    Attributes:
        jitter: standard deviation of a key point, in pixels of the input and per pixel of stature.
        hidden: factor for hidden key points.
        swapped: share of people with left and right swapped.
    """

    jitter: tuple[float, float] = (1.5, 0.025)
    hidden: float = 2.5
    swapped: float = 0.03


@dataclass(frozen=True)
class LiftTraining:
    """Settings of the run: its length in minutes, scenes per step, and the weight of `cycle_loss`."""

    minutes: float = 6.0
    scenes: int = 300
    learning_rate: float = 2e-3
    warm_up: int = 50
    weight_decay: float = 1e-4
    clip_norm: float = 5.0
    cycle_weight: float = 0.0
    report_every: int = 100
    seed: int = 0


class SkeletonBatch(NamedTuple):
    """Key points of K skeletons and their labels."""

    keypoints: EncodedKeypoints
    label: dict[str, Tensor]  # (K, …) each, see `dataset.pack`


def train_lift(
    settings: LiftTraining, movenet: Path, mocap_folder: Path, *, embedding_path: Path, out: Path
) -> None:
    """Pretrain a network and write its weights.

    Args:
        settings: of the run.
        movenet: MoveNet.MultiPose, see `load_movenet`.
        mocap_folder: see `load_mocap`.
        embedding_path: safetensors file of the pose embedding, which is frozen.
        out: safetensors file to write; `.jsonl` (log) and `.state` (to resume from) are beside it.
    """
    generator = seed_all(settings.seed)
    network = KeypointNetwork()
    load_movenet(network, movenet)
    spec, embedding = network.spec(), load_embedding(embedding_path)
    poses = torch.from_numpy(load_mocap(mocap_folder)["train"])
    optimizer = torch.optim.AdamW(
        _learned(network), settings.learning_rate, betas=(0.9, 0.99), weight_decay=settings.weight_decay
    )
    run = Run(
        RunPlan(settings, settings.report_every, minutes=settings.minutes),
        {"network": network, "optimizer": optimizer},
        generator,
        files=RunFiles.beside(out),
        save=lambda: save_weights(out, network),
    )
    weights = {**LOSS_WEIGHTS, "cycle": settings.cycle_weight}
    while run.done < 1:
        share = warm_cosine(run.step, run.done, settings.warm_up)
        set_learning_rates(optimizer, share * settings.learning_rate)
        batch = draw_skeletons(poses, settings.scenes, spec, embedding=embedding, generator=generator)
        losses = lift_losses(network, batch, spec, decode=embedding.decode, cycle=bool(settings.cycle_weight))
        take_step(optimizer, weighted_sum(losses, weights), settings.clip_norm)
        run.advance(losses)
        if run.report_due:
            run.report({"done": run.done})
            run.keep()
    run.finish()


def _learned(network: KeypointNetwork) -> list[Tensor]:
    heads = [head for name, head in network.heads.items() if name != "centre"]
    lifting = network.lifting_head
    parts = (lifting.from_keypoints, lifting.mlp, network.auxiliary, *heads)
    return [parameter for part in parts for parameter in part.parameters()]


def lift_losses(
    network: KeypointNetwork,
    batch: SkeletonBatch,
    spec: PoseSpec,
    *,
    decode: Callable[[Tensor], Tensor],
    cycle: bool = False,
) -> dict[str, Tensor]:
    """Return the unweighted losses of lifted poses: those of `person_losses`, and `cycle`.

    The cycle loss trains the layers behind the latent only; the encoder of key points receives no gradient
    from it.
    """
    raw = lifted_poses(network, batch.keypoints.offsets)
    readings = Readings(
        raw=raw,
        cells_px=batch.keypoints.cells_px,
        weights=batch.keypoints.weights,
        sigma=sigma_cells(batch.label["px_per_m"], spec),
    )
    losses = person_losses(readings, batch.label, spec, decode=decode)
    if cycle:
        # Frozen: an encoder that made all latents equal would close every cycle.
        encoder = copy.deepcopy(network.lifting_head.from_keypoints).requires_grad_(False)
        losses["cycle"] = cycle_loss(raw, batch.keypoints, encoder, spec=spec, decode=decode)
    return losses


def draw_skeletons(
    poses: Tensor,
    count: int,
    spec: PoseSpec,
    *,
    embedding: PoseEmbedding,
    generator: torch.Generator,
    errors: KeypointErrors = KeypointErrors(),
) -> SkeletonBatch:
    """Return the key points of every person in random scenes of skeletons, from one cell near each centre.

    Args:
        poses: (N, 16, 3) captured bone directions in the torso frame.
        count: number of scenes.
        spec: specification of the network.
        embedding: encodes the poses.
        generator: draws scenes, errors and cells.
        errors: of the key points.
    """
    scenes = draw_scenes(
        poses, count, spec.input_size, encode=embedding.encode, generator=generator, settings=SceneSettings()
    )
    people = scenes.labels["status"] == PERSON
    label = {name: values[people] for name, values in scenes.labels.items()}
    label["px_per_m"] = label["px_per_m"].clamp(min=1.0)
    centre = (label["centres_px"] - spec.cell_origin_px) / spec.stride
    noise = torch.randn(centre.shape, generator=generator, device=centre.device)
    shift = 0.7 * noise * sigma_cells(label["px_per_m"], spec)[:, None]
    cells_px = (centre + shift).round() * spec.stride + spec.cell_origin_px
    points_px = _detected_points(scenes, people, generator, errors=errors)
    offsets = encode_offsets(points_px - cells_px[:, None])
    return SkeletonBatch(EncodedKeypoints(offsets, cells_px, torch.ones_like(label["px_per_m"])), label)


def _detected_points(
    scenes: Scenes, people: Tensor, generator: torch.Generator, *, errors: KeypointErrors
) -> Tensor:
    """Return key points (K, 17, 2) of people in pixels of the input, with a detector's errors."""
    points, visible, stature = scenes.points_px[people], scenes.visible[people], scenes.stature_px[people]
    device = points.device
    sigma = (errors.jitter[0] + errors.jitter[1] * stature)[:, None]
    sigma = sigma * torch.where(visible > MIN_VISIBLE, 1.0, errors.hidden)
    points = points + sigma[..., None] * torch.randn(points.shape, generator=generator, device=device)
    swapped = torch.rand(len(points), 1, 1, generator=generator, device=device) < errors.swapped
    return torch.where(swapped, points[:, MIRROR], points)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `train_lift` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train lift",
        description="Pretrain the lifting from key points to poses on skeletons.",
        epilog="example: posec train lift --movenet movenet-multipose.json --mocap mocap/ "
        "--embedding embedding.safetensors --out lift.safetensors",
    )
    parser.add_argument(
        "--movenet",
        "--trunk",
        type=Path,
        required=True,
        help="MoveNet.MultiPose as .json, its weights beside it",
    )
    parser.add_argument("--mocap", type=Path, required=True, help="folder of motion-capture .npz files")
    parser.add_argument("--embedding", type=Path, required=True, help="safetensors of the pose embedding")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    add_settings(parser, LiftTraining, "pretrain")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    settings = chosen_settings(options, LiftTraining)
    train_lift(settings, options.movenet, options.mocap, embedding_path=options.embedding, out=options.out)


if __name__ == "__main__":
    sys.exit(exit_status(main))
