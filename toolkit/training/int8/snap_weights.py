"""Snap the weights of a trained backbone to the int8 grid, so that int8 compilation does not change them.

The remaining layers are trained afterwards on the outputs of the snapped backbone (`posec train network
--backbone-rate 0`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, from_numpy, nn, no_grad

from ...network.checkpoint import load_checkpoint, save_checkpoint
from ...network.network import PRETRAINED_PREFIXES, KeypointNetwork
from ...passes.quantize.qparams import to_int8, weight_scales
from ...runtime.command.refusals import exit_status


def snap_to_grid(weight: Tensor) -> Tensor:
    """Round a weight (channels, ...) to int8 with one scale per output channel.

    Idempotent but for float32 rounding.
    """
    values = weight.detach().numpy()
    scales = weight_scales(values, 0)
    return from_numpy(to_int8(values, scales, 0) * scales.reshape(-1, *(1,) * (values.ndim - 1)))


def snap_network(network: KeypointNetwork) -> list[str]:
    """Snap the convolutions of the backbone and the key-point head in place; returns their names."""
    layers = {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d) and name.startswith(PRETRAINED_PREFIXES)
    }
    with no_grad():
        for layer in layers.values():
            layer.weight.copy_(snap_to_grid(layer.weight))
    return list(layers)


def main(arguments: Sequence[str] | None = None) -> None:
    """Snap the weights of a checkpoint from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train grid",
        description="Snap the weights of a trained backbone to the int8 grid.",
        epilog="example: posec train grid --checkpoint network/checkpoint --out snapped/",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of a checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new checkpoint")
    options = parser.parse_args(arguments)
    network, decoder, spec, temporal = load_checkpoint(options.checkpoint)
    names = snap_network(network)
    save_checkpoint(options.out, network, decoder, spec=spec, temporal=temporal)
    print(f"{options.out}: {len(names)} convolutions snapped to the int8 grid, {names[0]} to {names[-1]}")


if __name__ == "__main__":
    sys.exit(exit_status(main))
