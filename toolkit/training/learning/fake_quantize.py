"""Let a network compute as int8 would, so that what it learns holds in integers, too (Jacob et al., CVPR 2018)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...network.backbone import InvertedResidual, PyramidLevel
from ...network.heads import Context, ResidualBlock

STEPS = 255
# What reads maps: convolutions, and blocks whose input is an operand of a sum as well.
READERS = (nn.Conv2d, InvertedResidual, ResidualBlock, Context)
# The convolution of a block whose result is an operand of a sum, with no rectifier between.
OPERANDS: dict[type[nn.Module], str] = {InvertedResidual: "project", PyramidLevel: "side", Context: "merge"}
# Layers that stay float when they are compiled.
FLOAT = ("heads.", "auxiliary")


def rounded(maps: Tensor) -> Tensor:
    """Return maps in 256 even steps from their lowest value to their highest, zero among them. Gradients pass as if nothing had happened."""
    low, high = (float(extreme) for extreme in torch.aminmax(maps.detach()))
    low, high = min(low, 0.0), max(high, 0.0)
    if not high - low > 0 or high - low == float(
        "inf"
    ):  # nothing to round, or what the step's gradient norm will show
        return maps
    scale = (high - low) / STEPS
    return torch.fake_quantize_per_tensor_affine(maps.float(), scale, round(-low / scale), 0, STEPS).to(
        maps.dtype
    )


def _first(_module: nn.Module, read: tuple[Any, ...]) -> tuple[Any, ...]:
    return rounded(read[0]), *read[1:]


def _last(_module: nn.Module, _read: tuple[Any, ...], made: Tensor) -> Tensor:
    return rounded(made)


@contextmanager
def computing_in_integers(network: nn.Module, on: bool = True) -> Iterator[None]:
    """Round all maps between the layers of a network, as 8 bits would, but for those that its heads' last layers read; weights stay."""
    hooks = []
    for name, module in network.named_modules():
        if not on or name.startswith(FLOAT):
            continue
        if isinstance(module, READERS):
            hooks.append(module.register_forward_pre_hook(_first))
        for kind, operand in OPERANDS.items():
            if isinstance(module, kind):
                hooks.append(module.get_submodule(operand).register_forward_hook(_last))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
