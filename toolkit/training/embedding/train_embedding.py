"""Learn the pose embedding from motion capture: stage 0 of the paper's learning.

Reconstruction makes embeddings of captured poses precise; a uniform prior spreads them over the cube [-1, 1]^32; an adversary
and the cycle embedding → pose → embedding make what lies between them a pose as well (Kundu et al., WACV 2019).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...network.embedding import PoseEmbedding, take_decoder
from ...network.torch_kinematics import bone_lengths_m, forward_kinematics
from ...runtime.pose import MUPOTS17
from ..motion.anatomy import plausible_share
from ..motion.augment import augment, draw
from ..motion.mocap import SPLITS, load_mocap
from ..run.configuration import add_settings, chosen_settings
from ..run.runs import Run, Stateful, add_device, one_cycle, set_learning_rate
from .adversary import PoseDiscriminator, adversarial_loss, discriminator_loss, sliced_uniform_loss

# The embedding reconstructs at the bone lengths of the skeleton; reports are at this stature, as the field quotes them.
REPORTED_STATURE_M = 1.70
ANKLE_TO_SOLE_M = 0.08


@dataclass(frozen=True)
class EmbeddingTraining:
    """Settings of the run; the weights multiply losses in metres or in embedding units."""

    steps: int = 9000
    batch: int = 384
    learning_rate: float = 1.5e-3
    adversary_rate: float = 5e-4
    noise: float = 0.05
    direction_weight: float = 0.2
    prior_weight: float = 0.02
    cycle_weight: float = 0.005
    adversary_weight: float = 0.003
    sliced_directions: int = 64
    random_poses: int = 4096
    report_every: int = 1000
    seed: int = 0


def train_embedding(config: EmbeddingTraining, mocap_folder: str | Path, out: str | Path, device: str = "cpu",
                    decoder: str | Path | None = None) -> dict[str, float]:  # fmt: skip
    """Train the auto-encoder, write its weights, and return the last line of figures.

    Args:
        config: settings.
        mocap_folder: see `load_mocap`.
        out: the safetensors file to write; `.jsonl` (progress) and `.state` (to resume from) stand beside it.
        device: a torch device.
        decoder: a checkpoint's `pose.safetensors`, to learn an encoder for as it is: checkpoints have none, and a network that should go
            on learning needs the embeddings of new poses. None to learn both.

    A run that was interrupted goes on from its last report. Raises PosecError where the state has other settings.
    """
    poses = {split: torch.from_numpy(array).to(device) for split, array in load_mocap(mocap_folder).items()}
    torch.manual_seed(config.seed)
    model, adversary = PoseEmbedding().to(device), PoseDiscriminator().to(device)
    if decoder is not None:
        take_decoder(model, decoder)
    optimizer = torch.optim.Adam(
        [part for part in model.parameters() if part.requires_grad], config.learning_rate
    )
    adversary_optimizer = torch.optim.Adam(adversary.parameters(), config.adversary_rate, betas=(0.5, 0.9))
    generator = torch.Generator(device).manual_seed(config.seed)
    parts: dict[str, Stateful] = {
        "model": model,
        "adversary": adversary,
        "optimizer": optimizer,
        "adversary_optimizer": adversary_optimizer,
    }
    run = Run(out, config, parts, generator)
    for step in range(run.first, config.steps):
        set_learning_rate(optimizer, one_cycle(step, config.steps, config.learning_rate))
        losses = _step(
            config, step, model, adversary, optimizer, adversary_optimizer, poses["train"], generator
        )
        if (step + 1) % config.report_every == 0 and step + 1 < config.steps:
            run.keep(step + 1, model)
            figures = {name: loss.item() for name, loss in losses.items()}
            run.report(step + 1, figures | evaluate(model, {"val": poses["val"]}, config))
    run.finish(model)
    figures = evaluate(model, poses, config)
    run.report(config.steps, figures)
    return figures


def _step(
    config: EmbeddingTraining,
    step: int,
    model: PoseEmbedding,
    adversary: PoseDiscriminator,
    optimizer: torch.optim.Optimizer,
    adversary_optimizer: torch.optim.Optimizer,
    poses: Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Take one step of the embedding and one of the adversary and return their losses; every second batch is augmented."""
    real = (augment if step % 2 else draw)(poses, config.batch, generator)
    lengths = bone_lengths_m(device=poses.device)
    codes = model.encode(real)
    noise = torch.randn(codes.shape, generator=generator, device=codes.device) * config.noise
    decoded = model.decode((codes + noise).clamp(-1, 1))
    joint_error = (
        (forward_kinematics(decoded, lengths) - forward_kinematics(real, lengths)).norm(dim=-1).mean()
    )
    uniform = torch.rand(codes.shape, generator=generator, device=codes.device) * 2 - 1
    prior = sliced_uniform_loss(codes, uniform, config.sliced_directions, generator)
    made = model.decode(uniform)
    cycle = (model.encode(made) - uniform).abs().mean()
    deceived = adversarial_loss(adversary(made))
    loss = (
        joint_error
        + config.direction_weight * (decoded - real).abs().mean()
        + config.prior_weight * prior
        + config.cycle_weight * cycle
        + config.adversary_weight * deceived
    )
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    judged = discriminator_loss(adversary(real), adversary(made.detach()))
    adversary_optimizer.zero_grad()
    judged.backward()
    adversary_optimizer.step()
    return {
        "joint_error_m": joint_error,
        "prior": prior,
        "cycle": cycle,
        "deceived": deceived,
        "judged": judged,
    }


@torch.no_grad()
def evaluate(model: PoseEmbedding, poses: dict[str, Tensor], config: EmbeddingTraining) -> dict[str, float]:
    """Return the figures of an embedding.

    Per split: mean and 95th percentile joint error of reconstruction in mm at 1.70 m stature, pelvis excluded, and the share of
    its poses within the joint limits. Then the same share for decoded random embeddings, how far those and captured poses spread
    (an adversary could win with one good pose), the spread of the embeddings (uniform: 0.577), and the gap of the cycle
    embedding → pose → embedding.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(config.seed + 1)
    lengths = bone_lengths_m(device=device)
    moving = [joint for joint in range(len(MUPOTS17.names)) if joint != MUPOTS17.root]
    scale = 1000 * REPORTED_STATURE_M / stature_m()
    figures: dict[str, float] = {}
    for split, captured in poses.items():
        decoded = torch.cat([model.decode(model.encode(part)) for part in captured.split(8192)])
        errors = (forward_kinematics(decoded, lengths) - forward_kinematics(captured, lengths)).norm(dim=-1)[
            :, moving
        ] * scale
        figures[f"{split}_mm"] = errors.mean().item()
        figures[f"{split}_p95_mm"] = errors.flatten().sort()[0][int(0.95 * errors.numel())].item()
        figures[f"{split}_within_limits"] = plausible_share(captured)[0]
    captured = poses.get("val", next(iter(poses.values())))
    codes = model.encode(captured)
    uniform = torch.rand(config.random_poses, codes.shape[1], generator=generator, device=device) * 2 - 1
    made = model.decode(uniform)
    figures["random_within_limits"], by_limit = plausible_share(made)
    figures["random_spread_mm"], figures["captured_spread_mm"] = spread_mm(made), spread_mm(captured)
    if set(SPLITS) <= set(poses):
        figures |= {f"random_{name}": share for name, share in by_limit.items()}
    figures["code_std"] = codes.std().item()
    figures["cycle_gap"] = (model.encode(made) - uniform).abs().mean().item()
    return figures


def spread_mm(directions: Tensor) -> float:
    """Return the mean distance of joints from their mean place over poses (N, 16, 3), in mm."""
    joints = forward_kinematics(directions, bone_lengths_m(device=directions.device))
    return 1000 * (joints - joints.mean(0)).norm(dim=-1).mean().item()


def stature_m() -> float:
    """Return the height of the skeleton standing straight, soles included, in metres."""
    lengths = dict(zip(MUPOTS17.bones, MUPOTS17.bone_lengths_mm, strict=True))
    column = ("spine", "neck", "head", "head_top", "left_knee", "left_ankle")
    return sum(lengths[MUPOTS17.index(joint)] for joint in column) / 1000 + ANKLE_TO_SOLE_M


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `train_embedding` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train embedding",
        description="Learn the pose embedding from motion capture.",
        epilog="example: posec train embedding --mocap mocap/ --out embedding.safetensors",
    )
    parser.add_argument("--mocap", required=True, help="folder of motion-capture .npz files")
    parser.add_argument("--out", required=True, help="safetensors file to write")
    parser.add_argument(
        "--decoder", help="pose.safetensors of a checkpoint, to learn only what encodes for it"
    )
    add_device(parser)
    add_settings(parser, EmbeddingTraining, "embedding")
    chosen = parser.parse_args(arguments)
    train_embedding(
        chosen_settings(chosen, EmbeddingTraining), chosen.mocap, chosen.out, chosen.device, chosen.decoder
    )


if __name__ == "__main__":
    main()
