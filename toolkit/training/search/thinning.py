"""Thin a trained network without training: leave channels out, and fit the layers that read them again.

A channel is left out where its absence, with the reading layer fitted again, adds the least squared error
to that layer's output: |w_c|² / (M⁻¹)_cc for the second moments M of the layer's input (Hassibi and Stork,
"Second order derivatives for network pruning: optimal brain surgeon", NeurIPS 1992). The fit is that of
He, Zhang and Sun, "Channel pruning for accelerating very deep neural networks", ICCV 2017, in closed form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...network.network import KeypointNetwork
from ...network.shape import BLOCKS, REFERENCE, NetworkShape

_RIDGE = 1e-4  # of the mean second moment
_STEPS = 64  # in which the channels of a layer are ranked
_AMONG = 3


class Unit(NamedTuple):
    """Channels between layers: `producers` write one each, `consumer`, a 1x1 convolution, reads all."""

    producers: tuple[str, ...]
    consumer: str


UNITS: Mapping[str, Unit] = {
    **{
        f"block {number}": Unit(
            (f"backbone.blocks.{number}.expand", f"backbone.blocks.{number}.depthwise"),
            f"backbone.blocks.{number}.project",
        )
        for number in range(1, len(BLOCKS))
    },
    "last": Unit(("backbone.last",), "backbone.top"),
    "latent": Unit(("lifting_head.from_keypoints", "lifting_head.from_features"), "lifting_head.mlp.0"),
    "lifting": Unit(("lifting_head.mlp.0",), "lifting_head.mlp.2"),
}


@dataclass(frozen=True)
class Moments:
    """What a layer reads: second moments (C + 1, C + 1) of its channels and the constant 1; its weight."""

    second: Tensor
    weight: Tensor

    @cached_property
    def order(self) -> Tensor:
        """The channels, the last to be left out first."""
        return rank_channels(self.weight, self.second)


def width(shape: NetworkShape, unit: str) -> int:
    """Return the channels of a unit."""
    return shape.hidden[int(unit.split()[1])] if unit.startswith("block") else int(getattr(shape, unit))


def shape_of(widths: Mapping[str, int]) -> NetworkShape:
    """Return the shape with these channels per unit."""
    hidden = (REFERENCE.hidden[0], *(widths[f"block {number}"] for number in range(1, len(BLOCKS))))
    return NetworkShape(hidden, widths["last"], widths["latent"], widths["lifting"])


@torch.no_grad()
def measure_moments(network: KeypointNetwork, batches: Iterable[Tensor]) -> dict[str, Moments]:
    """Return the moments of every unit's reading layer over normalized pictures (B, 3, H, W)."""
    sums: dict[str, Tensor] = {}
    hooks = []

    def watch(unit: str) -> Any:
        def add(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            maps = inputs[0].transpose(0, 1).flatten(1)
            rows = torch.cat([maps, torch.ones_like(maps[:1])])
            sums[unit] = sums.get(unit, 0) + (rows @ rows.T).double()

        return add

    for name, unit in UNITS.items():
        hooks.append(network.get_submodule(unit.consumer).register_forward_pre_hook(watch(name)))
    try:
        for batch in batches:
            network.eval()(batch)
    finally:
        for hook in hooks:
            hook.remove()
    found = {}
    for name, total in sums.items():
        second = total / total[-1, -1]
        weight = network.get_parameter(f"{UNITS[name].consumer}.weight").detach()
        found[name] = Moments(second, weight.flatten(1).double())
    return found


def rank_channels(weight: Tensor, second: Tensor, least: float = 0.125) -> Tensor:
    """Return the channels of a layer's input, the last to be left out first.

    One channel after the other is left out, and the others are fitted again each time; a step chooses a few
    channels among those of the least error, so that the large matrices change once a step.

    Args:
        weight: (outputs, C) of the layer.
        second: moments (C + 1, C + 1) of its input.
        least: share of the channels that stay; these are in the order of their errors.
    """
    count = weight.shape[1]
    inverse, weight = torch.linalg.inv(_ridged(second)), torch.cat([weight, weight[:, :1] * 0], 1)
    channels = torch.arange(count + 1)  # the last is the constant 1, which always stays
    step, removed = max(1, count // _STEPS), []
    while len(channels) - 1 > max(1, int(least * count)):
        some = min(step, len(channels) - 1 - max(1, int(least * count)))
        chosen = _least_error(weight, inverse, some)
        solved = torch.linalg.solve(inverse[chosen][:, chosen], inverse[chosen])
        weight, inverse = weight - weight[:, chosen] @ solved, inverse - inverse[:, chosen] @ solved
        removed += channels[chosen].tolist()
        stays = torch.ones(len(channels), dtype=torch.bool)
        stays[chosen] = False
        channels, weight, inverse = channels[stays], weight[:, stays], inverse[stays][:, stays]
    order = _errors(weight, inverse)[:-1].argsort(descending=True)
    return torch.tensor([*channels[order].tolist(), *reversed(removed)])


def _least_error(weight: Tensor, inverse: Tensor, count: int) -> list[int]:
    """Return the channels to leave out, one after the other, of the `_AMONG` times as many of least error."""
    among = _errors(weight, inverse)[:-1].argsort()[: _AMONG * count]
    weight, inverse = weight[:, among].clone(), inverse[among][:, among].clone()
    chosen: list[int] = []
    for _ in range(count):
        errors = _errors(weight, inverse)
        errors[chosen] = torch.inf
        channel = int(errors.argmin())
        row = inverse[channel] / inverse[channel, channel]
        weight -= weight[:, channel : channel + 1] * row
        inverse -= inverse[:, channel : channel + 1] * row
        chosen.append(channel)
    return among[chosen].tolist()


def _errors(weight: Tensor, inverse: Tensor) -> Tensor:
    """Return the error of the output without each channel, the others fitted again."""
    return weight.square().sum(0) / inverse.diagonal().clamp(min=1e-300)


def fit(weight: Tensor, second: Tensor, kept: list[int]) -> tuple[Tensor, Tensor]:
    """Return weight (outputs, K) and addition to the bias (outputs,) that replace `weight` (outputs, C).

    They bring the output from the kept channels nearest to that from all, in squares.
    """
    chosen = [*kept, -1]
    wanted = weight @ second[:-1][:, chosen]
    solved = torch.linalg.solve(_ridged(second[chosen][:, chosen]), wanted.T).T
    return solved[:, :-1], solved[:, -1]


def thin(network: KeypointNetwork, moments: Mapping[str, Moments], shape: NetworkShape) -> KeypointNetwork:
    """Return a network of a shape with the weights of another, which has all channels."""
    tensors = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for name, unit in UNITS.items():
        count = width(shape, name)
        if not count:
            prefix = unit.consumer.removesuffix("project")
            tensors = {key: tensor for key, tensor in tensors.items() if not key.startswith(prefix)}
        elif count < width(REFERENCE, name):
            _leave_out(tensors, unit, moments[name], count)
    thinner = KeypointNetwork(shape)
    thinner.load_state_dict(tensors)
    return thinner.eval()


def _leave_out(tensors: dict[str, Tensor], unit: Unit, moments: Moments, count: int) -> None:
    kept = sorted(moments.order[:count].tolist())
    for producer in unit.producers:
        for name in (f"{producer}.weight", f"{producer}.bias"):
            if name in tensors:
                tensors[name] = tensors[name][kept]
    name = f"{unit.consumer}.weight"
    weight, addition = fit(tensors[name].flatten(1).double(), moments.second, kept)
    tensors[name] = weight.float()[:, :, None, None]
    tensors[f"{unit.consumer}.bias"] = tensors[f"{unit.consumer}.bias"] + addition.float()


def _ridged(second: Tensor) -> Tensor:
    """Return moments with a small multiple of the identity, so that dead channels can be inverted."""
    return second + _RIDGE * second.diagonal().mean() * torch.eye(len(second), dtype=second.dtype)
