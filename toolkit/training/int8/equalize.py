"""Equalize the channel ranges of a KeypointNetwork, so that one int8 scale suits all channels of a tensor.

Channels of MobileNetV2 differ widely in range; an int8 tensor has one scale, and small channels lose their
bits to large ones. Where only ReLU and sums lie between two convolutions, a channel can be scaled in the
first and scaled back in the second (Nagel et al., "Data-free quantization through weight equalization and
bias correction", ICCV 2019). The outputs of the network do not change; behind a ReLU6 this holds up to the
largest value seen.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import PosecError
from ...evaluation.pictures import read_picture
from ...network.backbone import DEEP_BLOCK, SIDE_BLOCKS
from ...network.blocks import ResidualBlock
from ...network.checkpoint import load_checkpoint, save_checkpoint
from ...network.keypoints import BRANCH_CHANNELS
from ...network.network import FEATURE_BRANCHES, KeypointNetwork
from ...network.shape import BLOCKS
from ...runtime.command.refusals import exit_status
from ...runtime.frame import FrameInput
from ...runtime.pose import PoseSpec
from ...runtime.preprocess import Batch
from ..labels.label_pictures import picture_names
from .channel_ranges import (
    SIX,
    ChannelRanges,
    channel_ranges,
    largest,
    range_scale,
    rescale_depthwise,
    scale_outputs,
    unscale_inputs,
)

# Share of ReLU6's range that channels fill; larger values than on these pictures may occur.
FILLED = 0.95
# Largest factor for a channel before a ReLU6, which may be silent on these pictures only.
MAX_RELU6_FACTOR = 24.0
# Blocks of MobileNetV2 by stage: a residual sum shares one scale per channel.
STAGES = ((0,), (1, 2), (3, 4, 5), (6, 7, 8, 9), (10, 11, 12), (13, 14, 15), (16,))


@torch.no_grad()
def equalize(network: KeypointNetwork, pictures: Iterable[Tensor]) -> None:
    """Rescale the channels of a network in place.

    Args:
        network: is set to evaluation mode.
        pictures: normalized batches (B, 3, H, W) that the ranges are taken from.
    """
    network.eval()
    with channel_ranges(network) as ranges:
        for batch in pictures:
            network(batch)
    if not ranges:
        raise PosecError("no pictures to take ranges from; give at least one")
    for part in (_stages, _pyramid, _branches, _relu6_channels, _features, _lifting_head):
        part(network, ranges)


def _stages(network: KeypointNetwork, ranges: ChannelRanges) -> None:
    """Equalize the outputs of MobileNetV2's blocks, which have no activation."""
    backbone = network.backbone
    for stage in STAGES:
        names = [f"backbone.blocks.{number}{part}" for number in stage for part in ("", ".project")]
        scale = range_scale(largest(ranges, *names))
        for number in stage:
            scale_outputs(backbone.get_submodule(f"blocks.{number}.project"), scale)
            is_last = number + 1 == len(backbone.blocks)
            consumer = "last" if is_last else f"blocks.{number + 1}.expand"
            unscale_inputs(backbone.get_submodule(consumer), scale)
            if number in SIDE_BLOCKS:
                level = SIDE_BLOCKS.index(number)
                unscale_inputs(backbone.get_submodule(f"levels.{level}.side"), scale)
            if number == DEEP_BLOCK:
                unscale_inputs(network.deep_projection[0], scale)


def _pyramid(network: KeypointNetwork, ranges: ChannelRanges) -> None:
    """Equalize the sum of each pyramid level and its lateral input, and the output of its depthwise layer."""
    backbone = network.backbone
    for number in range(len(backbone.levels)):
        level = f"levels.{number}"
        coarse = f"levels.{number - 1}" if number else "top"
        producer = f"{coarse}.pointwise" if number else "top"
        tensors = (coarse, f"{level}.side", f"{level}.depthwise.input")
        scale = range_scale(largest(ranges, *(f"backbone.{name}" for name in tensors)))
        middle = range_scale(ranges[f"backbone.{level}.depthwise"])
        scale_outputs(backbone.get_submodule(producer), scale)
        scale_outputs(backbone.get_submodule(f"{level}.side"), scale)
        if number == 1:  # the first level is a deep feature as well, behind the channels of the deep block
            unscale_inputs(network.deep_projection[0], scale, BLOCKS[DEEP_BLOCK][0])
        rescale_depthwise(backbone.get_submodule(f"{level}.depthwise"), scale, middle)
        unscale_inputs(backbone.get_submodule(f"{level}.pointwise"), middle)


def _branches(network: KeypointNetwork, ranges: ChannelRanges) -> None:
    """Equalize the fine features, which only the branches read, and the branches."""
    last = len(network.backbone.levels) - 1
    fine = range_scale(ranges[f"backbone.levels.{last}"])
    scale_outputs(network.backbone.get_submodule(f"levels.{last}.pointwise"), fine)
    for name in network.keypoint_head.branches:
        path = f"keypoint_head.branches.{name}"
        middle, scale = range_scale(ranges[f"{path}.0"]), range_scale(ranges[path])
        rescale_depthwise(network.get_submodule(f"{path}.0"), fine, middle)
        unscale_inputs(network.get_submodule(f"{path}.1"), middle)
        scale_outputs(network.get_submodule(f"{path}.1"), scale)
        if name != "center":
            unscale_inputs(network.get_submodule(f"keypoint_head.{name}"), scale)
        if name in FEATURE_BRANCHES:
            first = FEATURE_BRANCHES.index(name) * BRANCH_CHANNELS
            unscale_inputs(network.fine_projection[0], scale, first)


def _relu6_channels(network: KeypointNetwork, ranges: ChannelRanges) -> None:
    """Scale the channels before each ReLU6 of the backbone to fill its range."""
    backbone = network.backbone

    def fill(name: str) -> Tensor:
        scale = FILLED * SIX / ranges[f"backbone.{name}"].clamp(min=1e-6)
        scale = scale.clamp(1.0, MAX_RELU6_FACTOR)
        scale_outputs(backbone.get_submodule(name), scale)
        return scale

    stem = fill("stem")
    rescale_depthwise(backbone.get_submodule("blocks.0.depthwise"), stem, torch.ones_like(stem))
    for number in range(len(backbone.blocks)):
        if number:
            scale = fill(f"blocks.{number}.expand")
            depthwise = backbone.get_submodule(f"blocks.{number}.depthwise")
            rescale_depthwise(depthwise, scale, torch.ones_like(scale))
        project = backbone.get_submodule(f"blocks.{number}.project")
        unscale_inputs(project, fill(f"blocks.{number}.depthwise"))
    unscale_inputs(backbone.top, fill("last"))


def _features(network: KeypointNetwork, ranges: ChannelRanges) -> None:
    """Equalize the image features, which are one residual sum."""
    blocks = {name: module for name, module in network.named_modules() if isinstance(module, ResidualBlock)}
    projections = (network.fine_projection, network.deep_projection)
    sums = ("fine_projection", "deep_projection", "context", "context.merge")
    names = (*sums, *blocks, *(f"{name}.depthwise.input" for name in blocks))
    scale = range_scale(largest(ranges, *names))
    norms = [*(part[1] for part in projections), *(block.pointwise_norm for block in blocks.values())]
    for norm in norms:
        scale_outputs(norm, scale)
    scale_outputs(network.context.merge, scale)
    for consumer in (network.context.merge, network.heads["centre"], network.lifting_head.from_features):
        unscale_inputs(consumer, scale)
    for name, block in blocks.items():
        inner = range_scale(ranges[f"{name}.pointwise.input"])
        rescale_depthwise(block.depthwise, scale, torch.ones_like(scale))
        scale_outputs(block.depthwise_norm, inner)
        unscale_inputs(block.pointwise, inner)


def _lifting_head(network: KeypointNetwork, ranges: ChannelRanges) -> None:
    """Equalize the three layers of the lifting head."""
    lifting, mlp = network.lifting_head, network.lifting_head.mlp
    pose_heads = [head for name, head in network.heads.items() if name != "centre"]
    links: tuple[tuple[str, list[nn.Module], list[nn.Module]], ...] = (
        ("lifting_head.mlp.0.input", [lifting.from_keypoints, lifting.from_features], [mlp[0]]),
        ("lifting_head.mlp.0", [mlp[0]], [mlp[2]]),
        ("lifting_head.mlp.2", [mlp[2]], [network.auxiliary, *pose_heads]),
    )
    for name, producers, consumers in links:
        scale = range_scale(ranges[name])
        for layer in producers:
            scale_outputs(layer, scale)
        for layer in consumers:
            unscale_inputs(layer, scale)


def read_pictures(sources: Sequence[str], spec: PoseSpec, most: int) -> Iterator[Tensor]:
    """Yield at most `most` pictures of each folder or plain tar as network input (1, 3, H, W)."""
    batch = Batch(spec, FrameInput("float32", "NCHW", spec.colour_order, normalized=True))
    for source in sources:
        names = picture_names(source)
        for name in names[:: -(-len(names) // most)]:
            batch.fill(read_picture(source, name))
            yield torch.from_numpy(batch.array.copy())


def main(arguments: Sequence[str] | None = None) -> None:
    """Equalize a checkpoint from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train equalize",
        description="Equalize the channel ranges of a network for int8, without changing its outputs.",
        epilog="example: posec train equalize --checkpoint network/checkpoint --pictures photos/ --out even/",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a checkpoint")
    parser.add_argument(
        "--pictures", nargs="+", required=True, help="folders or plain tars of pictures with many people"
    )
    parser.add_argument(
        "--most", type=int, default=100, help="largest number of pictures of each (default: 100)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")
    options = parser.parse_args(arguments)
    network, decoder, spec, temporal = load_checkpoint(options.checkpoint)
    equalize(network, read_pictures(options.pictures, spec, options.most))
    save_checkpoint(options.out, network, decoder, spec=spec, temporal=temporal)
    print(f"{options.out}: channel ranges equalized")


if __name__ == "__main__":
    sys.exit(exit_status(main))
