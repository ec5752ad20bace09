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

from ..errors import PosecError
from ..evaluation.pictures import read_picture
from ..network.checkpoint import load_checkpoint, save_checkpoint
from ..network.keypoint_network import BRANCH, KeypointNetwork
from ..network.pose_network import ResidualBlock
from ..network.pyramid_trunk import DEEP_BLOCK, SIDE_BLOCKS
from ..runtime.frame import FrameInput
from ..runtime.pose import PoseSpec
from ..runtime.preprocess import Batch
from .label_pictures import picture_names

SIX = 6.0
# Rectified channels may come so near to 6; what was not seen may lie above.
FULLEST = 0.95
# No channel is scaled by more than the first number, or, behind a ReLU6, the second: it may be silent on these pictures alone.
MOST, MOST_RECTIFIED = 50.0, 24.0
# Residual sums share one scale per channel: the blocks of MobileNetV2 by stage.
BEFORE_SIX = re.compile(r"trunk\.(stem|last|blocks\.\d+\.(expand|depthwise))")
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
    trunk, reader, lift = network.trunk, network.reader, network.lift
    name_of = {id(module): name for name, module in network.named_modules()}

    def largest(*modules: nn.Module) -> Tensor:
        return torch.stack([seen[name_of[id(module)]] for module in modules]).amax(0)

    for stage in STAGES:
        blocks = [trunk.blocks[number] for number in stage]
        scale = even(largest(*blocks, *(block.get_submodule("project") for block in blocks)))
        for number, block in zip(stage, blocks, strict=True):
            grow(block.get_submodule("project"), scale)
            shrink(trunk.blocks[number + 1].get_submodule("expand") if number + 1 < len(trunk.blocks) else trunk.last, scale)
            for level, side in zip(trunk.levels, SIDE_BLOCKS, strict=True):
                if side == number:
                    shrink(level.get_submodule("side"), scale)
            if number == DEEP_BLOCK:
                shrink(network.far[0], scale)
                deep = len(scale)

    above, maker = [trunk.top, *trunk.levels], [trunk.top, *(level.get_submodule("pointwise") for level in trunk.levels)]
    for number, level in enumerate(trunk.levels):
        beside, depthwise, pointwise = (level.get_submodule(part) for part in ("side", "depthwise", "pointwise"))
        both = torch.maximum(largest(above[number], beside), seen[name_of[id(depthwise)] + ".input"])
        scale, middle = even(both), even(largest(depthwise))
        grow(maker[number], scale)
        grow(beside, scale)
        if number == 1:
            shrink(network.far[0], scale, deep)
        regrow(depthwise, scale, middle)
        shrink(pointwise, middle)
    scale = even(largest(trunk.levels[-1]))
    grow(trunk.levels[-1].get_submodule("pointwise"), scale)
    readers = {"ways": reader.ways, "heat": reader.heat, "offset": reader.offset}
    for name, branch in reader.branches.items():
        depthwise, pointwise = branch.get_submodule("0"), branch.get_submodule("1")
        middle, outer = even(largest(depthwise)), even(largest(branch))
        regrow(depthwise, scale, middle)
        shrink(pointwise, middle)
        grow(pointwise, outer)
        if name in readers:
            shrink(readers[name], outer)
        if name in ("person", "ways", "heat"):
            shrink(network.near[0], outer, ("person", "ways", "heat").index(name) * BRANCH)

    _rectified_channels(network, seen)
    _features(network, seen, name_of)
    for layer, after in (([lift.enter, lift.see], [lift.think[0]]), ([lift.think[0]], [lift.think[2]]),
                         ([lift.think[2]], [network.auxiliary, *(head for name, head in network.heads.items() if name != "centre")])):  # fmt: skip
        scale = even(seen["lift.think.0.input"] if len(layer) > 1 else largest(layer[0]))
        for one in layer:
            grow(one, scale)
        for one in after:
            shrink(one, scale)


def even(ranges: Tensor) -> Tensor:
    """Return by what each channel is to be multiplied to have the largest one's range."""
    return ranges.max() / ranges.clamp(min=float(ranges.max()) / MOST)


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


def _rectified_channels(network: KeypointNetwork, seen: dict[str, Tensor]) -> None:
    """Let what leaves each ReLU6 of the trunk fill its range."""
    trunk = network.trunk

    def fill(name: str) -> Tensor:
        return (FULLEST * SIX / seen[name].clamp(min=1e-6)).clamp(1.0, MOST_RECTIFIED)

    scale = fill("trunk.stem")
    grow(trunk.stem, scale)
    trunk.blocks[0].get_parameter("depthwise.weight").div_(scale[:, None, None, None])
    for number, block in enumerate(trunk.blocks):
        depthwise, project = block.get_submodule("depthwise"), block.get_submodule("project")
        if number:
            scale = fill(f"trunk.blocks.{number}.expand")
            grow(block.get_submodule("expand"), scale)
            depthwise.get_parameter("weight").div_(scale[:, None, None, None])
        scale = fill(f"trunk.blocks.{number}.depthwise")
        grow(depthwise, scale)
        shrink(project, scale)
    scale = fill("trunk.last")
    grow(trunk.last, scale)
    shrink(trunk.top, scale)


def _features(network: KeypointNetwork, seen: dict[str, Tensor], name_of: dict[int, str]) -> None:
    """Even out the picture's features: all of them are one residual sum."""
    blocks = [module for module in [*network.blocks.modules(), *network.context.modules()] if isinstance(module, ResidualBlock)]
    sums = [network.near, network.far, *blocks, network.context, network.context.merge]
    inputs = [seen[f"{name_of[id(block.depthwise)]}.input"] for block in blocks]
    scale = even(torch.stack([*(seen[name_of[id(module)]] for module in sums), *inputs]).amax(0))
    for norm in (network.near[1], network.far[1], *(block.pointwise_norm for block in blocks)):
        grow(norm, scale)
    grow(network.context.merge, scale)
    for reader in (network.context.merge, network.heads["centre"], network.lift.see):
        shrink(reader, scale)
    for block in blocks:
        inner = even(seen[name_of[id(block.pointwise)] + ".input"])
        block.depthwise.weight.div_(scale[:, None, None, None])
        grow(block.depthwise_norm, inner)
        shrink(block.pointwise, inner)


@contextmanager
def _ranges(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Collect the largest values of each channel, of what modules make and, as `NAME.input`, of what convolutions read.

    Of what a ReLU6 follows only positive values count.
    """
    seen: dict[str, Tensor] = {}

    def take(name: str, maps: object) -> None:
        if isinstance(maps, Tensor) and maps.dim() == 4:
            largest = (maps.clamp(min=0) if BEFORE_SIX.fullmatch(name) else maps.abs()).amax((0, 2, 3))
            seen[name] = torch.maximum(seen[name], largest) if name in seen else largest

    hooks = []
    for name, module in network.named_modules():
        hooks.append(module.register_forward_hook(lambda _module, _read, made, name=name: take(name, made)))
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_pre_hook(lambda _module, read, name=name: take(f"{name}.input", read[0])))
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
        "--pictures", nargs="+", required=True, help="folders or plain tars of pictures to take ranges of, with many people"
    )
    parser.add_argument("--most", type=int, default=100, help="pictures of each, at most (default: 100)")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    network, decoder, spec = load_checkpoint(chosen.checkpoint)
    if not isinstance(network, KeypointNetwork):
        raise PosecError(f"'{chosen.checkpoint}' is of architecture '{network.architecture}', needed: '{KeypointNetwork.architecture}'")
    equalize(network, read_pictures(chosen.pictures, spec, chosen.most))
    save_checkpoint(chosen.out, network, decoder, spec)
    print(f"{chosen.out}: channels evened out")


if __name__ == "__main__":
    main()
