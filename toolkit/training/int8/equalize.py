"""Give the channels of a KeypointNetwork like ranges, so that one integer scale serves them all. What it computes stays the same.

MobileNetV2's maps differ from channel to channel in range; an int8 tensor has one scale, and small channels lose their bits to large
ones. Where nothing but rectifiers and sums lies between two convolutions, a channel may be scaled by the first and scaled back by the
next (Nagel et al., "Data-free quantization through weight equalization and bias correction", ICCV 2019). Behind a ReLU6 this is exact
up to the largest value that was seen.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import PosecError
from ...evaluation.pictures import read_picture
from ...network.backbone import BLOCKS, DEEP_BLOCK, SIDE_BLOCKS
from ...network.checkpoint import load_checkpoint, save_checkpoint
from ...network.heads import ResidualBlock
from ...network.network import BRANCH, NEAR, KeypointNetwork
from ...runtime.frame import FrameInput
from ...runtime.pose import PoseSpec
from ...runtime.preprocess import Batch
from ..labels.label_pictures import picture_names

SIX = 6.0
# Rectified channels may come so near to 6; what was not seen may lie above.
FULLEST = 0.95
# No channel is scaled by more than the first number beyond the largest one, or, behind a ReLU6, by more than the second: it may be
# silent on these pictures alone.
MOST, MOST_RECTIFIED = 50.0, 24.0
# What a ReLU6 follows.
BEFORE_SIX = re.compile(r"trunk\.(stem|last|blocks\.\d+\.(expand|depthwise))")
# Largest values of channels, by the name of the module that makes them, or NAME.input.
Seen = dict[str, Tensor]
# Residual sums share one scale per channel: the blocks of MobileNetV2 by stage.
STAGES = ((0,), (1, 2), (3, 4, 5), (6, 7, 8, 9), (10, 11, 12), (13, 14, 15), (16,))


@torch.no_grad()
def equalize(network: KeypointNetwork, pictures: Iterable[Tensor]) -> None:
    """Rescale the channels of a network in place.

    Args:
        network: is put into evaluation mode.
        pictures: batches (B, 3, H, W), normalized, whose largest values set the ranges.
    """
    network.eval()
    with _ranges(network) as seen:
        for batch in pictures:
            network(batch)
    if not seen:
        raise PosecError("no picture to take ranges of; give some")
    for part in (_stages, _pyramid, _branches, _rectified_channels, _features, _lift):
        part(network, seen)


def largest(seen: Seen, *names: str) -> Tensor:
    """Return the largest values that channels have in any of these."""
    return torch.stack([seen[name] for name in names]).amax(0)


def even(ranges: Tensor) -> Tensor:
    """Return by what each channel is to be multiplied to have a range of 6, as behind a ReLU6: so weights stay of a size that can be trained."""
    return SIX / ranges.clamp(min=float(ranges.max()) / MOST)


def grow(layer: nn.Module, scale: Tensor) -> None:
    """Multiply what a layer makes, channel by channel."""
    layer.get_parameter("weight").mul_(scale.reshape(-1, *(1,) * (layer.get_parameter("weight").dim() - 1)))
    if getattr(layer, "bias", None) is not None:
        layer.get_parameter("bias").mul_(scale)


def shrink(layer: nn.Module, scale: Tensor, first: int = 0) -> None:
    """Let a convolution read channels, from the `first` on, that have been multiplied by `scale`."""
    layer.get_parameter("weight")[:, first : first + len(scale)].div_(scale[:, None, None])


def regrow(depthwise: nn.Module, before: Tensor, after: Tensor) -> None:
    """Let a depthwise convolution without bias read channels multiplied by `before`, and multiply what it makes by `after`."""
    depthwise.get_parameter("weight").mul_((after / before)[:, None, None, None])


def _stages(network: KeypointNetwork, seen: Seen) -> None:
    """Even out what leaves the blocks of MobileNetV2, which has no rectifier."""
    trunk = network.trunk
    for stage in STAGES:
        scale = even(
            largest(seen, *(f"trunk.blocks.{number}{part}" for number in stage for part in ("", ".project")))
        )
        for number in stage:
            grow(trunk.get_submodule(f"blocks.{number}.project"), scale)
            shrink(
                trunk.get_submodule(f"blocks.{number + 1}.expand")
                if number + 1 < len(trunk.blocks)
                else trunk.last,
                scale,
            )
            if number in SIDE_BLOCKS:
                shrink(trunk.get_submodule(f"levels.{SIDE_BLOCKS.index(number)}.side"), scale)
            if number == DEEP_BLOCK:
                shrink(network.far[0], scale)


def _pyramid(network: KeypointNetwork, seen: Seen) -> None:
    """Even out the pyramid: each sum of a level and what stands beside it, and what its depthwise convolution makes."""
    trunk = network.trunk
    for number in range(len(trunk.levels)):
        level = f"levels.{number}"
        above, maker = (
            (f"levels.{number - 1}", f"levels.{number - 1}.pointwise") if number else ("top", "top")
        )
        scale = even(largest(seen, f"trunk.{above}", f"trunk.{level}.side", f"trunk.{level}.depthwise.input"))
        middle = even(seen[f"trunk.{level}.depthwise"])
        grow(trunk.get_submodule(maker), scale)
        grow(trunk.get_submodule(f"{level}.side"), scale)
        if number == 1:  # the first level leaves the trunk, too, behind the channels of the deep block
            shrink(network.far[0], scale, BLOCKS[DEEP_BLOCK][0])
        regrow(trunk.get_submodule(f"{level}.depthwise"), scale, middle)
        shrink(trunk.get_submodule(f"{level}.pointwise"), middle)


def _branches(network: KeypointNetwork, seen: Seen) -> None:
    """Even out the fine features, which the branches alone read, and the branches."""
    last = len(network.trunk.levels) - 1
    fine = even(seen[f"trunk.levels.{last}"])
    grow(network.trunk.get_submodule(f"levels.{last}.pointwise"), fine)
    for name in network.reader.branches:
        path = f"reader.branches.{name}"
        middle, scale = even(seen[f"{path}.0"]), even(seen[path])
        regrow(network.get_submodule(f"{path}.0"), fine, middle)
        shrink(network.get_submodule(f"{path}.1"), middle)
        grow(network.get_submodule(f"{path}.1"), scale)
        if name != "person":
            shrink(network.get_submodule(f"reader.{name}"), scale)
        if name in NEAR:
            shrink(network.near[0], scale, NEAR.index(name) * BRANCH)


def _rectified_channels(network: KeypointNetwork, seen: Seen) -> None:
    """Let what leaves each ReLU6 of the trunk fill its range."""
    trunk = network.trunk

    def fill(name: str) -> Tensor:
        scale = (FULLEST * SIX / seen[f"trunk.{name}"].clamp(min=1e-6)).clamp(1.0, MOST_RECTIFIED)
        grow(trunk.get_submodule(name), scale)
        return scale

    first = fill("stem")
    regrow(trunk.get_submodule("blocks.0.depthwise"), first, torch.ones_like(first))
    for number in range(len(trunk.blocks)):
        if number:
            scale = fill(f"blocks.{number}.expand")
            regrow(trunk.get_submodule(f"blocks.{number}.depthwise"), scale, torch.ones_like(scale))
        shrink(trunk.get_submodule(f"blocks.{number}.project"), fill(f"blocks.{number}.depthwise"))
    shrink(trunk.top, fill("last"))


def _features(network: KeypointNetwork, seen: Seen) -> None:
    """Even out the picture's features: all of them are one residual sum."""
    blocks = {name: module for name, module in network.named_modules() if isinstance(module, ResidualBlock)}
    names = [
        "near",
        "far",
        "context",
        "context.merge",
        *blocks,
        *(f"{name}.depthwise.input" for name in blocks),
    ]
    scale = even(largest(seen, *names))
    for norm in (network.near[1], network.far[1], *(block.pointwise_norm for block in blocks.values())):
        grow(norm, scale)
    grow(network.context.merge, scale)
    for reader in (network.context.merge, network.heads["centre"], network.lift.see):
        shrink(reader, scale)
    for name, block in blocks.items():
        inner = even(seen[f"{name}.pointwise.input"])
        regrow(block.depthwise, scale, torch.ones_like(scale))
        grow(block.depthwise_norm, inner)
        shrink(block.pointwise, inner)


def _lift(network: KeypointNetwork, seen: Seen) -> None:
    """Even out the three layers of the lift."""
    lift = network.lift
    heads: list[nn.Module] = [
        network.auxiliary,
        *(head for name, head in network.heads.items() if name != "centre"),
    ]
    for made, read, name in (
        ([lift.enter, lift.see], [lift.think[0]], "lift.think.0.input"),
        ([lift.think[0]], [lift.think[2]], "lift.think.0"),
        ([lift.think[2]], heads, "lift.think.2"),
    ):
        scale = even(seen[name])
        for layer in made:
            grow(layer, scale)
        for layer in read:
            shrink(layer, scale)


@contextmanager
def _ranges(network: nn.Module) -> Iterator[Seen]:
    """Collect the largest values of each channel, of what modules make and, as `NAME.input`, of what convolutions read.

    Of what a ReLU6 follows only positive values count.
    """
    seen: Seen = {}

    def take(name: str, maps: object) -> None:
        if isinstance(maps, Tensor) and maps.dim() == 4:
            largest = (maps.clamp(min=0) if BEFORE_SIX.fullmatch(name) else maps.abs()).amax((0, 2, 3))
            seen[name] = torch.maximum(seen[name], largest) if name in seen else largest

    hooks = []
    for name, module in network.named_modules():
        hooks.append(module.register_forward_hook(lambda _module, _read, made, name=name: take(name, made)))
        if isinstance(module, nn.Conv2d):
            hooks.append(
                module.register_forward_pre_hook(
                    lambda _module, read, name=name: take(f"{name}.input", read[0])
                )
            )
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def read_pictures(sources: Sequence[str], spec: PoseSpec, most: int) -> Iterator[Tensor]:
    """Yield pictures of folders and plain tars as the network takes them, (1, 3, H, W), at most so many of each, spread over its names."""
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
        description="Give the channels of a network that reads key points like ranges, for int8's sake.",
        epilog="example: posec train equalize --checkpoint network/checkpoint --pictures photos/ --out even/",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder that a training wrote")
    parser.add_argument(
        "--pictures",
        nargs="+",
        required=True,
        help="folders or plain tars of pictures to take ranges of, with many people",
    )
    parser.add_argument("--most", type=int, default=100, help="pictures of each, at most (default: 100)")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    network, decoder, spec = load_checkpoint(chosen.checkpoint)
    equalize(network, read_pictures(chosen.pictures, spec, chosen.most))
    save_checkpoint(chosen.out, network, decoder, spec)
    print(f"{chosen.out}: channels evened out")


if __name__ == "__main__":
    main()
