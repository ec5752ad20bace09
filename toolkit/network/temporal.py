"""The temporal network in torch: a causal stack of dilated convolutions over the frames of one person.

Pavllo et al., CVPR 2019, in the causal form: the residual is that of the newest tap. `runtime.temporal` is
the numpy version, which streams.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..runtime.pose import PoseSpec
from ..runtime.temporal.correction import keypoint_count, sizes
from ..runtime.temporal.filters import FILTERS, filtered
from ..runtime.temporal.weights import DILATIONS, FRAMES, LOOKAHEADS, TAPS

CHANNELS = 128
DROPOUT = 0.1
DECAYS = (0.5, 0.2)  # of the filters' first kernels, per frame
FIRST_LOGIT = -1.0  # of the filters, at the beginning of the training


class TemporalNetwork(nn.Module):
    """Features of T frames to corrections of each frame, from it and the 26 frames before.

    Attributes:
        mean, scale: (F,) of the inputs, folded into the first layer in `temporal_arrays`.
        dilated: convolutions of kernel 3; the first is the input layer.
        pointwise: convolutions of kernel 1, one for each further dilated one.
        outputs: one layer for each lookahead. An untrained network mixes in the filters evenly.
        kernels: of the filters, for each lookahead, (FILTERS, FRAMES, D).
    """

    mean: Tensor
    scale: Tensor
    filtered: Tensor
    gates: Tensor

    def __init__(self, spec: PoseSpec, channels: int = CHANNELS) -> None:
        super().__init__()
        inputs, outputs = sizes(spec)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        of = filtered(spec, keypoint_count(spec))
        self.register_buffer("filtered", torch.from_numpy(of.inputs), persistent=False)
        self.register_buffer("gates", torch.from_numpy(of.gates), persistent=False)
        self.kernels = nn.ParameterList(_first_kernels(len(of.inputs)) for _ in LOOKAHEADS)
        self.dropout = nn.Dropout(DROPOUT)
        self.dilated = nn.ModuleList(
            nn.Conv1d(channels if index else inputs, channels, TAPS, dilation=dilation)
            for index, dilation in enumerate(DILATIONS)
        )
        self.pointwise = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in DILATIONS[1:])
        self.outputs = nn.ModuleList(nn.Conv1d(channels, outputs, 1) for _ in LOOKAHEADS)
        for name, parameter in self.outputs.named_parameters():
            nn.init.zeros_(parameter)
            if name.endswith("bias"):
                nn.init.constant_(parameter[len(of.inputs) + 1 :], FIRST_LOGIT)

    def hidden(self, features: Tensor) -> Tensor:
        """Return hidden values (N, C, T) of features (N, F, T); frames before the first are equal to it."""
        values = (features - self.mean[:, None]) / self.scale[:, None]
        values = torch.cat([values[..., :1].expand(-1, -1, FRAMES - 1), values], -1)
        values = functional.relu(self.dilated[0](values))
        for dilated, pointwise in zip(self.dilated[1:], self.pointwise, strict=True):
            hidden = self.dropout(functional.relu(pointwise(functional.relu(dilated(values)))))
            values = values[..., -hidden.shape[-1] :] + hidden
        return values

    def forward(self, features: Tensor, lookahead: int = 0) -> Tensor:
        """Return corrections (N, D + 1, T - lookahead) of the first frames of features (N, F, T).

        See `runtime.temporal.record.features` for the order of F, `Correction` for that of D + 1. The last
        `lookahead` frames have no correction.
        """
        return self.corrections(self.hidden(features), features, lookahead)

    def corrections(self, hidden: Tensor, features: Tensor, lookahead: int = 0) -> Tensor:
        """Return what `forward` does, from the output of `hidden`; see `runtime.temporal.filters`."""
        index, frames = LOOKAHEADS.index(lookahead), features.shape[-1]
        outputs = self.outputs[index](hidden[..., lookahead:])
        numbers = features[:, self.filtered]
        newest, size = numbers[..., : frames - lookahead], numbers.shape[1]
        padded = torch.cat([numbers[..., :1].expand(-1, -1, FRAMES - 1), numbers], -1)
        changes = torch.zeros_like(newest)
        logits = outputs[:, size + 1 :].unflatten(1, (FILTERS, -1))
        shares = torch.cat([torch.zeros_like(logits[:, :1]), logits], 1).softmax(1)[:, 1:, self.gates]
        for kernel, share in zip(self.kernels[index], shares.unbind(1), strict=True):
            unit = kernel - kernel.mean(0) + 1 / FRAMES  # of sum 1
            slow = functional.conv1d(padded, unit.T[:, None], groups=size)[..., lookahead:]
            changes = changes + share * (slow - newest)
        metres = newest[:, -1:].exp()
        changes = torch.cat([changes[:, :-3], changes[:, -3:-1] * metres, changes[:, -1:]], 1)
        return torch.cat([outputs[:, :size] + changes, outputs[:, size : size + 1]], 1)


def _first_kernels(numbers: int) -> Tensor:
    """Return kernels (FILTERS, FRAMES, D) that decay by DECAYS per frame, the oldest frame first."""
    ages = torch.arange(FRAMES - 1, -1, -1)
    kernels = torch.stack([(1 - decay) ** ages for decay in DECAYS])
    return (kernels / kernels.sum(1, keepdim=True))[..., None].repeat(1, 1, numbers)


@torch.no_grad()
def temporal_arrays(network: TemporalNetwork) -> dict[str, np.ndarray]:
    """Return the arrays of `temporal.npz`, see `runtime.temporal.weights.array_shapes`."""
    state = dict(network.named_parameters())
    arrays: dict[str, Tensor] = {}
    for index in range(len(DILATIONS)):
        weight: Tensor
        bias: Tensor
        weight, bias = state[f"dilated.{index}.weight"], state[f"dilated.{index}.bias"]
        if not index:
            weight = weight / network.scale[:, None]
            bias = bias - (weight * network.mean[:, None]).sum((1, 2))
        arrays[f"dilated_{index}"] = weight.transpose(1, 2).flatten(1)
        arrays[f"dilated_{index}_bias"] = bias
    names = {f"pointwise_{index}": f"pointwise.{index - 1}" for index in range(1, len(DILATIONS))}
    names |= {f"output_{lookahead}": f"outputs.{index}" for index, lookahead in enumerate(LOOKAHEADS)}
    for name, layer in names.items():
        arrays[name], arrays[f"{name}_bias"] = state[f"{layer}.weight"][..., 0], state[f"{layer}.bias"]
    for lookahead, kernel in zip(LOOKAHEADS, network.kernels, strict=True):
        arrays[f"kernel_{lookahead}"] = kernel - kernel.mean(1, keepdim=True) + 1 / FRAMES
    return {name: values.detach().cpu().float().numpy() for name, values in arrays.items()}
