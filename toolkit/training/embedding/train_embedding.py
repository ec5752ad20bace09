"""Train the pose embedding on motion capture (stage 0 of Kundu et al., ECCV 2020).

Reconstruction makes embeddings of captured poses precise. A uniform prior spreads them over the cube [-1,
1]^32. An adversary and the cycle embedding → pose → embedding make the points in between plausible poses
(Kundu et al., WACV 2019).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...network.embedding import PoseEmbedding, take_decoder
from ...network.torch_kinematics import bone_lengths_m, forward_kinematics
from ...runtime.command.refusals import exit_status
from ..motion.augment import augment, draw
from ..motion.mocap import load_mocap
from ..run.compute import add_device
from ..run.configuration import add_settings, chosen_settings
from ..run.runs import Run, RunFiles, RunPlan, save_weights, seed_all
from ..run.steps import one_cycle, set_learning_rates, take_step
from .adversary import PoseDiscriminator, adversarial_loss, discriminator_loss, sliced_uniform_loss
from .embedding_figures import evaluate


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


class EmbeddingLearner:
    """An embedding in training, with its adversary and their optimizers."""

    def __init__(
        self, settings: EmbeddingTraining, device: str = "cpu", decoder: str | Path | None = None
    ) -> None:
        self.settings = settings
        self.model, self.adversary = PoseEmbedding().to(device), PoseDiscriminator().to(device)
        if decoder is not None:
            take_decoder(self.model, decoder)
        learned = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(learned, settings.learning_rate)
        self.adversary_optimizer = torch.optim.Adam(
            self.adversary.parameters(), settings.adversary_rate, betas=(0.5, 0.9)
        )

    def learn(self, poses: Tensor, step: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Take one step of the embedding and one of the adversary on random poses, and return the losses.

        Args:
            poses: (N, 16, 3) captured bone directions; every second batch of them is augmented.
            step: steps taken.
            generator: draws poses, noise and embeddings.
        """
        settings, model = self.settings, self.model
        set_learning_rates(self.optimizer, one_cycle(step, settings.steps, settings.learning_rate))
        captured = (augment if step % 2 else draw)(poses, settings.batch, generator)
        lengths = bone_lengths_m(device=poses.device)
        codes = model.encode(captured)
        noise = torch.randn(codes.shape, generator=generator, device=codes.device) * settings.noise
        reconstructed = model.decode((codes + noise).clamp(-1, 1))
        joints, wanted = (forward_kinematics(part, lengths) for part in (reconstructed, captured))
        joint_error = (joints - wanted).norm(dim=-1).mean()
        uniform = torch.rand(codes.shape, generator=generator, device=codes.device) * 2 - 1
        prior = sliced_uniform_loss(codes, uniform, settings.sliced_directions, generator=generator)
        decoded = model.decode(uniform)
        cycle = (model.encode(decoded) - uniform).abs().mean()
        adversarial = adversarial_loss(self.adversary(decoded))
        loss = (
            joint_error
            + settings.direction_weight * (reconstructed - captured).abs().mean()
            + settings.prior_weight * prior
            + settings.cycle_weight * cycle
            + settings.adversary_weight * adversarial
        )
        take_step(self.optimizer, loss)
        discriminator = discriminator_loss(self.adversary(captured), self.adversary(decoded.detach()))
        take_step(self.adversary_optimizer, discriminator)
        return {
            "joint_error_m": joint_error,
            "prior": prior,
            "cycle": cycle,
            "adversarial": adversarial,
            "discriminator": discriminator,
        }


def train_embedding(
    settings: EmbeddingTraining,
    mocap_folder: str | Path,
    out: str | Path,
    *,
    device: str = "cpu",
    decoder: str | Path | None = None,
) -> dict[str, float]:
    """Train the embedding, write its weights, and return its figures, see `embedding_figures.evaluate`.

    Args:
        settings: of the run.
        mocap_folder: see `load_mocap`.
        out: safetensors file to write; `.jsonl` (log) and `.state` (to resume from) are beside it.
        device: a torch device.
        decoder: a checkpoint's `pose.safetensors`, to train only an encoder for it, because checkpoints have
            no encoder and further training of a network needs embeddings of new poses. None to train both.

    An interrupted run resumes from its last report. Raises PosecError where the state has other settings.
    """
    poses = {split: torch.from_numpy(array).to(device) for split, array in load_mocap(mocap_folder).items()}
    generator = seed_all(settings.seed, device)
    learner = EmbeddingLearner(settings, device, decoder)
    run = Run(
        RunPlan(settings, settings.report_every, steps=settings.steps),
        {
            "model": learner.model,
            "adversary": learner.adversary,
            "optimizer": learner.optimizer,
            "adversary_optimizer": learner.adversary_optimizer,
        },
        generator,
        files=RunFiles.beside(out),
        save=lambda: save_weights(Path(out), learner.model),
    )

    def figures_of(splits: Sequence[str]) -> dict[str, float]:
        chosen = {split: poses[split] for split in splits}
        return evaluate(learner.model, chosen, random_poses=settings.random_poses, seed=settings.seed + 1)

    while run.done < 1:
        run.advance(learner.learn(poses["train"], run.step, generator))
        if run.report_due and run.done < 1:
            run.report(figures_of(["val"]))
            run.keep()
    run.finish()
    figures = figures_of(list(poses))
    run.report(figures)
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `train_embedding` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train embedding",
        description="Train the pose embedding on motion capture.",
        epilog="example: posec train embedding --mocap mocap/ --out embedding.safetensors",
    )
    parser.add_argument("--mocap", required=True, help="folder of motion-capture .npz files")
    parser.add_argument("--out", required=True, help="safetensors file to write")
    parser.add_argument("--decoder", help="pose.safetensors of a checkpoint, to train only an encoder for it")
    add_device(parser)
    add_settings(parser, EmbeddingTraining, "embedding")
    options = parser.parse_args(arguments)
    train_embedding(
        chosen_settings(options, EmbeddingTraining),
        options.mocap,
        options.out,
        device=options.device,
        decoder=options.decoder,
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
