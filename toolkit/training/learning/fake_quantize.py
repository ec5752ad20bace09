"""Fake quantization of activations, which prepares weights for int8 (Jacob et al., CVPR 2018)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...network.backbone import PyramidLevel
from ...network.blocks import Context, InvertedResidual, ResidualBlock

STEPS = 255
# Modules with quantized input: convolutions, and blocks that add their input to a sum.
CONSUMERS = (nn.Conv2d, InvertedResidual, ResidualBlock, Context)
# By block, the convolution directly before a sum, without a ReLU.
OPERANDS: dict[type[nn.Module], str] = {
    InvertedResidual: "project",
    PyramidLevel: "side",
    Context: "merge",
}
# Layers that stay float in a bundle.
FLOAT = ("heads.", "auxiliary")


def fake_quantize(maps: Tensor) -> Tensor:
    """Round maps to 256 even steps between their extremes, zero included; gradients pass unchanged.

    Maps without a finite, positive range are returned as they are.
    """
    low, high = (float(extreme) for extreme in torch.aminmax(maps.detach()))
    low, high = min(low, 0.0), max(high, 0.0)
    if not high - low > 0 or high - low == float("inf"):
        return maps
    scale = (high - low) / STEPS
    quantized = torch.fake_quantize_per_tensor_affine(maps.float(), scale, round(-low / scale), 0, STEPS)
    return quantized.to(maps.dtype)


def _quantize_input(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return fake_quantize(inputs[0]), *inputs[1:]


def _quantize_output(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> Tensor:
    return fake_quantize(output)


@contextmanager
def int8_activations(network: nn.Module, enabled: bool = True) -> Iterator[None]:
    """Quantize the activations of a network within the context, except the inputs of its heads.

    Weights stay float.
    """
    hooks = []
    for name, module in network.named_modules():
        if not enabled or name.startswith(FLOAT):
            continue
        if isinstance(module, CONSUMERS):
            hooks.append(module.register_forward_pre_hook(_quantize_input))
        for kind, operand in OPERANDS.items():
            if isinstance(module, kind):
                hooks.append(module.get_submodule(operand).register_forward_hook(_quantize_output))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
