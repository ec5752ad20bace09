"""The pose embedding: an auto-encoder between bone directions and 32 numbers in [-1, 1].

Size and prior follow Kundu et al. (WACV 2019): an adversarial auto-encoder makes every point of the cube a
plausible pose.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from ..errors import PosecError
from ..runtime.decoding.kinematics import LEAKY_SLOPE
from ..runtime.pose import MUPOTS17
from .torch_kinematics import EPSILON

BONES = len(MUPOTS17.bones)
EMBEDDING_SIZE = 32
HIDDEN = 512


class PoseEmbedding(nn.Module):
    """Auto-encoder of poses; a pose is 16 unit bone directions in the torso frame."""

    def __init__(self, size: int = EMBEDDING_SIZE, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.encoder = nn.Sequential(*_layers(3 * BONES, hidden, hidden, size), nn.Tanh())
        self.decoder = nn.Sequential(*_layers(size, hidden, hidden, 3 * BONES))

    def encode(self, directions: Tensor) -> Tensor:
        """Return embeddings (N, E) in [-1, 1] of unit bone directions (N, 16, 3)."""
        return self.encoder(directions.flatten(-2))

    def decode(self, embeddings: Tensor) -> Tensor:
        """Return unit bone directions (N, 16, 3) of embeddings (N, E)."""
        return functional.normalize(self.decoder(embeddings).unflatten(-1, (BONES, 3)), dim=-1, eps=EPSILON)


def _layers(*sizes: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(LEAKY_SLOPE)]
    return layers[:-1]


def decoder_arrays(model: PoseEmbedding) -> dict[str, np.ndarray]:
    """Return the decoder as `weight_0`, `bias_0`, …, as `runtime.decoding.kinematics.layers` reads it."""
    linear = [layer for layer in model.decoder if isinstance(layer, nn.Linear)]
    arrays: dict[str, np.ndarray] = {}
    for index, layer in enumerate(linear):
        arrays[f"weight_{index}"] = layer.weight.detach().cpu().float().numpy()
        arrays[f"bias_{index}"] = layer.bias.detach().cpu().float().numpy()
    return arrays


def take_decoder(model: PoseEmbedding, path: str | Path) -> None:
    """Load the decoder that `decoder_arrays` stored into a model and freeze it.

    Raises PosecError where it does not fit.
    """
    try:
        set_decoder(model, load_file(path))
    except (KeyError, OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise PosecError(
            f"'{path}' is not the decoder of a pose embedding: {error}; give a checkpoint's pose.safetensors"
        ) from error


def set_decoder(model: PoseEmbedding, arrays: Mapping[str, Tensor]) -> None:
    """Replace a model's decoder by the frozen one of `decoder_arrays`, of any width.

    Raises KeyError, RuntimeError or ValueError where the arrays are not those of a decoder.
    """
    count = len(arrays) // 2
    sizes = [arrays["weight_0"].shape[1], *(len(arrays[f"bias_{index}"]) for index in range(count))]
    if (sizes[0], sizes[-1], len(arrays)) != (EMBEDDING_SIZE, 3 * BONES, 2 * count):
        raise ValueError(f"it has layers of {sizes}, {EMBEDDING_SIZE} to {3 * BONES} are needed")
    device = next(model.parameters()).device
    model.decoder = nn.Sequential(*_layers(*sizes))
    linear = [layer for layer in model.decoder if isinstance(layer, nn.Linear)]
    for index, layer in enumerate(linear):
        layer.load_state_dict(
            {"weight": arrays[f"weight_{index}"].float(), "bias": arrays[f"bias_{index}"].float()}
        )
    model.decoder.to(device).requires_grad_(False)


def load_embedding(path: str | Path, device: torch.device | str = "cpu") -> PoseEmbedding:
    """Return the frozen embedding of a safetensors file.

    Raises PosecError where the file does not fit the network.
    """
    model = PoseEmbedding()
    try:
        state = load_file(path)
        if "decoder.0.bias" in state:  # of any width
            width = len(state["decoder.0.bias"])
            model.decoder = nn.Sequential(*_layers(EMBEDDING_SIZE, width, width, 3 * BONES))
        model.load_state_dict(state)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise PosecError(
            f"'{path}' is not a pose embedding: {error}; give a file that `posec train embedding` wrote"
        ) from error
    return model.to(device).eval().requires_grad_(False)
