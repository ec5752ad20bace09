"""Train the lifter on synthetic key points from augmented motion capture; the pose embedding is frozen."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...evaluation.metrics import mpjpe, pa_mpjpe
from ...network.embedding import PoseEmbedding, load_embedding
from ...network.torch_kinematics import bone_lengths_m, forward_kinematics
from ...runtime.command.refusals import exit_status
from ..motion.augment import augment, draw
from ..motion.mocap import load_mocap
from ..pictures.people import BODY_KEYPOINTS
from ..run.compute import add_device
from ..run.configuration import add_settings, chosen_settings
from ..run.runs import Run, RunFiles, RunPlan, save_weights, seed_all
from ..run.steps import one_cycle, set_learning_rates, take_step
from .lifter import LIFTER_JOINTS, Lifter, normalize_points, pose
from .projections import random_views


@dataclass(frozen=True)
class LifterTraining:
    """Settings of the run; the loss weights apply to metres, lifter units and embedding units."""

    steps: int = 6500
    batch: int = 384
    learning_rate: float = 1.5e-3
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    points_weight: float = 0.5
    embedding_weight: float = 0.3
    rotation_weight: float = 0.2
    torso_frame_weight: float = 0.3
    test_people: int = 4000
    report_every: int = 1000
    seed: int = 1


def train_lifter(
    config: LifterTraining,
    mocap_folder: str | Path,
    embedding_path: str | Path,
    *,
    out: str | Path,
    device: str = "cpu",
) -> dict[str, float]:
    """Train the lifter, write its weights, and return the final figures.

    An interrupted run resumes from its last report.

    Args:
        config: settings.
        mocap_folder: see `load_mocap`.
        embedding_path: the safetensors file of the pose embedding.
        out: the safetensors file to write; progress (`.jsonl`) and state (`.state`) are written beside it.
        device: a torch device.

    Raises PosecError where the state on disk belongs to other settings.
    """
    poses = {split: torch.from_numpy(array).to(device) for split, array in load_mocap(mocap_folder).items()}
    embedding = load_embedding(embedding_path, device)
    generator = seed_all(config.seed, device)
    model = Lifter().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    run = Run(
        RunPlan(config, config.report_every, steps=config.steps),
        {"model": model, "optimizer": optimizer},
        generator,
        files=RunFiles.beside(out),
        save=lambda: save_weights(Path(out), model),
    )
    weights = torch.tensor(_loss_weights(config), device=device)
    while run.done < 1:
        set_learning_rates(optimizer, one_cycle(run.step, config.steps, config.learning_rate, warm_up=0.1))
        directions = augment(poses["train"], config.batch, generator)
        losses = lifting_losses(model, embedding, directions, generator=generator)
        take_step(optimizer, weights @ torch.stack(list(losses.values())), config.clip_norm)
        run.advance(losses)
        if run.report_due and run.done < 1:
            run.report(evaluate(model, embedding, poses["val"], split="val", config=config))
            run.keep()
    run.finish()
    figures = evaluate(model, embedding, poses["val"], split="val", config=config)
    figures |= evaluate(model, embedding, poses["test"], split="test", config=config)
    run.report(figures)
    return figures


def _loss_weights(config: LifterTraining) -> list[float]:
    """Return the weights of the losses, in the order of `lifting_losses`."""
    return [
        1.0,
        config.points_weight,
        config.embedding_weight,
        config.rotation_weight,
        config.torso_frame_weight,
    ]


def lifting_losses(
    model: Lifter, embedding: PoseEmbedding, directions: Tensor, *, generator: torch.Generator
) -> dict[str, Tensor]:
    """Return the mean errors of poses (N, 16, 3), lifted from random views.

    Returns:
        `joints` in metres in the frame of the viewing ray, with the bone lengths of the skeleton; `points` in
        lifter units; `embedding`; `rotation` as a Frobenius norm; `torso_frame`, joints in metres in the
        torso frame.
    """
    views = random_views(directions, generator)
    inputs, centre, half = normalize_points(views.points, views.visible)
    lifted = model(inputs)
    posed = pose(embedding, lifted)
    lengths = bone_lengths_m(device=directions.device)
    torso_joints = forward_kinematics(directions, lengths)
    true_points = (views.true_points[:, LIFTER_JOINTS] - centre[:, None]) / half[:, None, None]
    return {
        "joints": (posed.joints_m - torso_joints @ views.rotation.transpose(1, 2)).norm(dim=-1).mean(),
        "points": (posed.points[:, LIFTER_JOINTS] - true_points).norm(dim=-1).mean(),
        "embedding": (lifted.embedding - embedding.encode(directions)).abs().mean(),
        "rotation": ((posed.rotation - views.rotation).square().sum((1, 2)) + 1e-6).sqrt().mean(),
        "torso_frame": (forward_kinematics(posed.directions, lengths) - torso_joints).norm(dim=-1).mean(),
    }


@torch.no_grad()
def evaluate(
    model: Lifter, embedding: PoseEmbedding, poses: Tensor, *, split: str, config: LifterTraining
) -> dict[str, float]:
    """Return errors in mm over held-out poses, projected by random cameras with the errors of a teacher.

    MPJPE and PA-MPJPE over 17 joints, pelvis at 0, with the bone lengths of the skeleton. They are given for
    captured poses, for augmented poses, and for poses with all 12 body key points visible.
    """
    generator = torch.Generator(poses.device).manual_seed(config.seed + 1)
    lengths = bone_lengths_m(device=poses.device)
    figures: dict[str, float] = {}
    for name, source in ((split, draw), (f"{split}_augmented", augment)):
        directions = source(poses, config.test_people, generator)
        views = random_views(directions, generator)
        lifted = model(normalize_points(views.points, views.visible).inputs)
        joints = forward_kinematics(directions, lengths) @ views.rotation.transpose(1, 2)
        lifted_mm = 1000 * pose(embedding, lifted).joints_m.cpu().numpy()
        truth_mm = 1000 * joints.cpu().numpy()
        visible = (views.visible[:, :BODY_KEYPOINTS].amin(1) > 0).cpu().numpy()
        figures[f"{name}_mpjpe_mm"] = mpjpe(lifted_mm, truth_mm)
        figures[f"{name}_pa_mpjpe_mm"] = pa_mpjpe(lifted_mm, truth_mm)
        figures[f"{name}_all_visible_mpjpe_mm"] = mpjpe(lifted_mm[visible], truth_mm[visible])
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `posec train lifter`."""
    parser = argparse.ArgumentParser(
        prog="posec train lifter",
        description="Train the lifter from 2D key points to poses.",
        epilog="example: posec train lifter --mocap mocap/ --embedding embedding.safetensors "
        "--out lifter.safetensors",
    )
    parser.add_argument("--mocap", required=True, help="folder of motion-capture .npz files")
    parser.add_argument("--embedding", required=True, help="safetensors file of the pose embedding")
    parser.add_argument("--out", required=True, help="safetensors file to write")
    add_device(parser)
    add_settings(parser, LifterTraining, "lifter")
    chosen = parser.parse_args(arguments)
    train_lifter(
        chosen_settings(chosen, LifterTraining),
        chosen.mocap,
        chosen.embedding,
        out=chosen.out,
        device=chosen.device,
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
