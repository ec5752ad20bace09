"""All that one step of the image network's training is judged by: labels, the other modality, other views, and the key points read before."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...network.network import KeypointNetwork
from ...runtime.pose import PoseSpec
from ..run.runs import mixed_precision
from .alignment import alignment_loss, cycle_loss, labelled_offsets, lifted_poses
from .consistency import agreement_loss, draw_views, seen_again
from .fake_quantize import computing_in_integers
from .keypoint_distillation import KeypointAnchor
from .losses import pose_losses
from .network_settings import NetworkTraining

# Beside those of `pose_losses`; each has its weight in the settings.
FURTHER_LOSSES = ("align", "cycle", "agree", "anchor")


def step_losses(
    network: KeypointNetwork,
    average: KeypointNetwork,
    anchor: KeypointAnchor | None,
    config: NetworkTraining,
    step: int,
    batch: dict[str, Tensor],
    spec: PoseSpec,
    decode: Callable[[Tensor], Tensor],
) -> dict[str, Tensor]:
    """Return every loss that the settings ask for, by name, unweighted.

    The network looks once: at the pictures, then other views of the first of them.

    Args:
        network: what learns.
        average: its averaged weights, whose lift makes the latents that others are drawn to.
        anchor: the network before it moved; None where the trunk does not move.
        config: settings.
        step: number of the step; what is drawn by chance depends on it and the seed alone.
        batch: packed pictures, see `dataset.ComposedPictures`.
        spec, decode: as for `pose_losses`.
    """
    device = batch["image"].device
    labels = {name: values for name, values in batch.items() if name != "image"}
    images = normalized(batch["image"], spec)
    pictures = shown = len(images)
    if config.agree:
        views = draw_views(
            min(config.agree_pictures, pictures),
            torch.Generator(device).manual_seed(config.seed * 1_000_003 + step),
        )
        images = torch.cat([images, seen_again(images[: len(views.zoom)], views)])
        shown = len(images)
    # Every n-th step, not by chance: a resumed run takes the same steps.
    integers = int((step + 1) * config.integers) > int(step * config.integers)
    with mixed_precision(device), computing_in_integers(network, integers):
        fine, deep = network.trunk(images.contiguous(memory_format=torch.channels_last))
        raw = network.raw_maps(fine, deep)
        kept = (
            anchor(images[: config.anchor_pictures], network, fine[: config.anchor_pictures])
            if anchor is not None
            else None
        )

    def part(*bounds: int | None) -> dict[str, Tensor]:
        return {name: values[slice(*bounds)].float() for name, values in raw.items()}

    losses = pose_losses(part(0, pictures), labels, spec, decode, config.fitted)
    if config.cycle:
        with torch.no_grad():
            given = labelled_offsets(labels, spec, (int(raw["centre"].shape[2]), int(raw["centre"].shape[3])))
        if len(given.offsets):
            with mixed_precision(device):
                read = {name: values.float() for name, values in lifted_poses(network, given.offsets).items()}
            losses["cycle"] = cycle_loss(read, given, average.lift.enter, spec, decode)
    if config.align:
        losses["align"] = alignment_loss(part(0, pictures)["latent"], labels, average.lift.enter, spec)
    if config.agree:
        losses["agree"] = agreement_loss(
            part(0, shown - pictures), part(pictures, shown), views, spec, decode
        )
    if kept is not None:
        losses["anchor"] = kept
    return losses


def normalized(pictures: Tensor, spec: PoseSpec) -> Tensor:
    """Return pictures (B, H, W, 3) uint8 in the spec's colour order as the network takes them, (B, 3, H, W)."""
    mean, std = (
        torch.tensor(values, device=pictures.device)[:, None, None] for values in (spec.mean, spec.std)
    )
    return (pictures.permute(0, 3, 1, 2).float() - mean) / std
