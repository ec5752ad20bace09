"""Teach the centre head on pictures without people, while poses and the people it finds stay.

Features of the frozen backbone are computed once; then the residual blocks, the context and the centre head
learn. In pictures without people all scores are driven to 0, the highest most (Lin et al., "Focal loss for
dense object detection", ICCV 2017). In pictures of people, scores and poses are held to those that the
network had before.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...network.checkpoint import load_checkpoint, save_checkpoint
from ...network.network import KeypointNetwork
from ...runtime.command.refusals import exit_status
from ..learning.network_step import update_average
from ..run.configuration import add_settings, chosen_settings
from ..run.relative_steps import RelativeAdamW
from ..run.runs import log_line
from ..run.steps import set_learning_rates, take_step, warm_cosine, weighted_sum
from .cached_views import View, poses_in, read_views


@dataclass(frozen=True)
class CentreTraining:
    """Settings of the training.

    Attributes:
        crops: of each picture without people, beside the whole.
        batch: pictures of people in a step, and as many without.
        learning_rate: largest step of a filter as a share of its size.
        score_weight, pose_weight: of holding scores and poses, beside the loss without people.
        hardness: exponent of the highest score, by which pictures without people are drawn.
    """

    steps: int = 600
    crops: int = 2
    batch: int = 8
    learning_rate: float = 0.004
    warm_up: int = 30
    score_weight: float = 3.0
    pose_weight: float = 3.0
    hardness: float = 1.5
    average_decay: float = 0.99
    report_every: int = 50
    seed: int = 0


def empty_loss(logits: Tensor) -> Tensor:
    """Return the focal loss of centre logits (B, h, w) of pictures without people, per picture."""
    loss = torch.sigmoid(logits) ** 2 * functional.softplus(logits)
    return loss.sum() / len(logits)


def held_score_loss(logits: Tensor, score: Tensor) -> Tensor:
    """Return the divergence of logits (B, h, w) from scores, weighted by their difference, per picture.

    Li et al., "Generalized focal loss", NeurIPS 2020.
    """
    score = score.clamp(1e-4, 1 - 1e-4)
    divergence = functional.binary_cross_entropy_with_logits(logits, score, reduction="none")
    divergence = divergence - functional.binary_cross_entropy(score, score, reduction="none")
    return ((torch.sigmoid(logits) - score).abs().clamp(min=0.02) * divergence).sum() / len(logits)


def held_pose_loss(network: KeypointNetwork, features: Tensor, views: Sequence[View]) -> Tensor:
    """Return the mean absolute difference of bounded pose heads from those of the views.

    `features` (B, 128, h, w) are those of the views now.
    """
    errors = [
        (torch.tanh(poses_in(network, now, view.cells, view.offsets)) - torch.tanh(view.poses)).abs()
        for now, view in zip(features, views, strict=True)
        if len(view.cells)
    ]
    return torch.cat(errors).mean() if errors else features.new_zeros(())


def learn_centres(
    network: KeypointNetwork, people: Sequence[View], empty: Sequence[View], settings: CentreTraining
) -> KeypointNetwork:
    """Return a network whose centre head has learned, and print the losses.

    Args:
        network: in evaluation mode; it is not changed.
        people: views of pictures of people.
        empty: views of pictures without people.
        settings: of the training.
    """
    learner = copy.deepcopy(network).requires_grad_(False)
    parts = nn.ModuleList([learner.blocks, learner.context, learner.heads["centre"]]).requires_grad_(True)
    average = copy.deepcopy(parts)
    optimizer = RelativeAdamW(parts.parameters(), settings.learning_rate, betas=(0.9, 0.99), weight_decay=0.0)
    generator = torch.Generator().manual_seed(settings.seed)
    highest = torch.stack([view.score.max() for view in empty])
    weights = {"empty": 1.0, "score": settings.score_weight, "pose": settings.pose_weight}
    for step in range(settings.steps):
        chances = (highest + 0.05) ** settings.hardness
        hard = torch.multinomial(chances, settings.batch, replacement=True, generator=generator)
        drawn = torch.randint(len(people), (settings.batch,), generator=generator)
        held = [people[index] for index in drawn]
        losses, highest[hard] = _losses(learner, [empty[index] for index in hard], held)
        share = warm_cosine(step, step / settings.steps, settings.warm_up)
        set_learning_rates(optimizer, settings.learning_rate * share)
        take_step(optimizer, weighted_sum(losses, weights))
        update_average(average, parts, min(settings.average_decay, (step + 1) / (step + 10)))
        if (step + 1) % settings.report_every == 0:
            print(
                log_line(step + 1, {name: float(loss.detach()) for name, loss in losses.items()}), flush=True
            )
    parts.load_state_dict(average.state_dict())
    return learner.eval()


def _losses(
    learner: KeypointNetwork, empty: Sequence[View], people: Sequence[View]
) -> tuple[dict[str, Tensor], Tensor]:
    """Return the losses of a step by name, and the highest score of each picture without people."""
    entering = torch.stack([view.features for view in (*empty, *people)]).float()
    # Depthwise layers take half the time in this format, and bfloat16 saves none.
    entering = entering.contiguous(memory_format=torch.channels_last)
    features = learner.context(learner.blocks(entering))
    without, within = learner.heads["centre"](features)[:, 0].tensor_split([len(empty)])
    losses = {
        "empty": empty_loss(without),
        "score": held_score_loss(within, torch.stack([view.score for view in people])),
        "pose": held_pose_loss(learner, features[len(empty) :], people),
    }
    return losses, torch.sigmoid(without.detach()).flatten(1).amax(1)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `learn_centres` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train centres",
        description="Teach the centre head on pictures without people; people keep their scores and poses.",
        epilog="example: posec train centres --checkpoint snapped/ --people ccp/photos.tar scenes/ "
        "--empty animals/ food/ --out calm/",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a checkpoint")
    parser.add_argument(
        "--people", nargs="+", required=True, help="folders or plain tars of pictures of people"
    )
    parser.add_argument(
        "--empty", nargs="+", required=True, help="folders or plain tars of pictures without people"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")
    add_settings(parser, CentreTraining, "centres")
    options = parser.parse_args(arguments)
    settings = chosen_settings(options, CentreTraining)
    network, decoder, spec, temporal = load_checkpoint(options.checkpoint)
    people, empty = (
        list(read_views(network, spec, sources, crops=crops, seed=settings.seed))
        for sources, crops in ((options.people, 0), (options.empty, settings.crops))
    )
    print(f"{len(people)} views of people, {len(empty)} without people", flush=True)
    network = learn_centres(network, people, empty, settings)
    save_checkpoint(options.out, network, decoder, spec=spec, temporal=temporal)
    print(f"{options.out}: centres learned in {settings.steps} steps")


if __name__ == "__main__":
    sys.exit(exit_status(main))
