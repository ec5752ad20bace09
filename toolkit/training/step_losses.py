"""All that one step of the image network's training is judged by: labels, the other modality, other views, and what PoseNet knew."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..network.keypoint_network import KeypointNetwork
from ..network.map_network import JointNetwork
from ..network.maps import MAPS
from ..network.pose_network import ImageNetwork
from ..runtime.pose import PoseSpec
from .alignment import alignment_loss, cycle_loss, keypoint_cycle_loss, labelled_offsets, lifted_poses, way_alignment_loss
from .anchor import PoseNetAnchor
from .keypoint_anchor import KeypointAnchor
from .keypoint_losses import keypoint_loss
from .losses import pose_losses
from .network_settings import Batch, NetworkTraining
from .rounding import computing_in_integers
from .runs import mixed_precision
from .views import agreement_loss, draw_views, seen_again

# Beside those of `pose_losses`; each has its weight in the settings.
FURTHER_LOSSES = ("keypoints", "align", "cycle", "agree", "anchor")


def step_losses(
    network: ImageNetwork,
    average: ImageNetwork,
    anchor: PoseNetAnchor | KeypointAnchor | None,
    config: NetworkTraining,
    step: int,
    batch: dict[str, Tensor],
    skeletons: Batch | None,
    spec: PoseSpec,
    decode: Callable[[Tensor], Tensor],
) -> dict[str, Tensor]:
    """Return every loss that the settings ask for, by name, unweighted.

    The network looks once: at the pictures, then other views of the first of them, then pose maps of scenes that have no picture.

    Args:
        network: what learns.
        average: its averaged weights, whose map encoder is the goal that latent maps are drawn to.
        anchor: what PoseNet said of the trunk's maps, or the network of key points before it moved; None where the trunk does not move.
        config: settings.
        step: number of the step; what is drawn by chance depends on it and the seed alone.
        batch: packed pictures, see `dataset.ComposedPictures`.
        skeletons: pose maps and labels of scenes, for a JointNetwork.
        spec, decode: as for `pose_losses`.
    """
    device = batch["image"].device
    labels = {name: values for name, values in batch.items() if name != "image"}
    images = normalized(batch["image"], spec)
    pictures = shown = len(images)
    if config.agree:
        views = draw_views(min(config.agree_pictures, pictures), torch.Generator(device).manual_seed(config.seed * 1_000_003 + step))
        images = torch.cat([images, seen_again(images[: len(views.zoom)], views)])
        shown = len(images)
    # Every n-th step, not by chance: a resumed run takes the same steps.
    integers = int((step + 1) * config.integers) > int(step * config.integers)
    with mixed_precision(device), computing_in_integers(network, integers):
        skip, deep = network.trunk(images.contiguous(memory_format=torch.channels_last))
        if isinstance(network, JointNetwork):
            others = deep.new_zeros(0, MAPS, *deep.shape[2:]) if skeletons is None else skeletons[0]
            latent, maps = network.latent_with(skip, deep, others)
            raw = network.raw_of(latent, maps)
        else:
            skeletons, raw = None, network.raw_maps(skip, deep)
        kept = None
        if isinstance(anchor, PoseNetAnchor) and len(held := held_pictures(labels, config.anchor_pictures)):
            kept = anchor(skip[held], deep[held])
        elif isinstance(anchor, KeypointAnchor) and isinstance(network, KeypointNetwork):
            kept = anchor(images[: config.anchor_pictures], network, skip[: config.anchor_pictures])

    def part(*bounds: int | None) -> dict[str, Tensor]:
        return {name: values[slice(*bounds)].float() for name, values in raw.items()}

    def encode(maps: Tensor) -> Tensor:
        assert isinstance(average, JointNetwork)
        with mixed_precision(device):
            return average.map_branch(maps)

    learned, everybody = part(0, pictures), labels
    if skeletons is not None:
        drawn = part(shown, None)
        learned = {name: torch.cat([values, drawn[name]]) for name, values in learned.items()}
        everybody = {name: torch.cat([values, skeletons[1][name]]) for name, values in labels.items()}
    losses = pose_losses(learned, everybody, spec, decode, config.fitted)
    if config.cycle and isinstance(network, KeypointNetwork) and isinstance(average, KeypointNetwork):
        with torch.no_grad():
            given = labelled_offsets(labels, spec, (int(raw["centre"].shape[2]), int(raw["centre"].shape[3])))
        if len(given.offsets):
            with mixed_precision(device):
                read = {name: values.float() for name, values in lifted_poses(network, given.offsets).items()}
            losses["cycle"] = keypoint_cycle_loss(read, given, average.lift.enter, spec, decode)
    elif config.cycle and skeletons is not None:
        losses["cycle"] = cycle_loss(drawn, maps[shown:].float(), skeletons[1], encode, spec, decode)
    if config.keypoints:
        assert isinstance(network, JointNetwork)
        losses["keypoints"] = keypoint_loss(network.reader, deep[:pictures].float(), labels)
    if config.align and isinstance(average, KeypointNetwork):
        losses["align"] = way_alignment_loss(part(0, pictures)["latent"], labels, average.lift.enter, spec)
    elif config.align:
        losses["align"] = alignment_loss(latent[:pictures], labels, encode, spec)
    if config.agree:
        losses["agree"] = agreement_loss(part(0, shown - pictures), part(pictures, shown), views, spec, decode)
    if kept is not None:
        losses["anchor"] = kept
    return losses


def held_pictures(labels: Mapping[str, Tensor], most: int) -> Tensor:
    """Return the indices of the pictures that stay close to PoseNet: the first `most` in which no pose is known exactly.

    Of rendered people labels say more than PoseNet does, which misreads them; held to it, a trunk learns less from them.
    """
    return torch.nonzero(~(labels["exact"] > 0).any(1))[:most, 0]


def normalized(pictures: Tensor, spec: PoseSpec) -> Tensor:
    """Return pictures (B, H, W, 3) uint8 in the spec's colour order as the network takes them, (B, 3, H, W)."""
    mean, std = (torch.tensor(values, device=pictures.device)[:, None, None] for values in (spec.mean, spec.std))
    return (pictures.permute(0, 3, 1, 2).float() - mean) / std
