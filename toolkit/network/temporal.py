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
from ..runtime.temporal.correction import sizes
from ..runtime.temporal.weights import DILATIONS, FRAMES, LOOKAHEADS, TAPS

CHANNELS = 128


class TemporalNetwork(nn.Module):
    """Features of T frames to corrections of each frame, from it and the 26 frames before.

    Attributes:
        mean, scale: (F,) of the inputs, folded into the first layer in `temporal_arrays`.
        dilated: convolutions of kernel 3; the first is the input layer.
        pointwise: convolutions of kernel 1, one for each further dilated one.
        outputs: one layer for each lookahead; they start at zero, so an untrained network changes nothing.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, spec: PoseSpec, channels: int = CHANNELS) -> None:
        super().__init__()
        inputs, outputs = sizes(spec)
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.dilated = nn.ModuleList(
            nn.Conv1d(channels if index else inputs, channels, TAPS, dilation=dilation)
            for index, dilation in enumerate(DILATIONS)
        )
        self.pointwise = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in DILATIONS[1:])
        self.outputs = nn.ModuleList(nn.Conv1d(channels, outputs, 1) for _ in LOOKAHEADS)
        for parameter in self.outputs.parameters():
            nn.init.zeros_(parameter)

    def hidden(self, features: Tensor) -> Tensor:
        """Return hidden values (N, C, T) of features (N, F, T); frames before the first are equal to it."""
        values = (features - self.mean[:, None]) / self.scale[:, None]
        values = torch.cat([values[..., :1].expand(-1, -1, FRAMES - 1), values], -1)
        values = functional.relu(self.dilated[0](values))
        for dilated, pointwise in zip(self.dilated[1:], self.pointwise, strict=True):
            hidden = functional.relu(pointwise(functional.relu(dilated(values))))
            values = values[..., -hidden.shape[-1] :] + hidden
        return values

    def forward(self, features: Tensor, lookahead: int = 0) -> Tensor:
        """Return corrections (N, O, T - lookahead) of the first frames of features (N, F, T).

        See `runtime.temporal.record.features` for the order of F, and `Correction` for that of O. The last
        `lookahead` frames have no correction.
        """
        corrections: Tensor = self.outputs[LOOKAHEADS.index(lookahead)](
            self.hidden(features)[..., lookahead:]
        )
        return corrections


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
    return {name: values.detach().cpu().float().numpy() for name, values in arrays.items()}
