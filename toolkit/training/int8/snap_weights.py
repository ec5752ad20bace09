"""Put a trunk that has moved on grids that int8 holds, so that what is measured of the network is what compiles.

Weights are rounded here, before the heads settle on what the trunk yields then (`posec train network --trunk-rate 0`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, from_numpy, nn, no_grad

from ...network.checkpoint import load_checkpoint, save_checkpoint
from ...network.network import KeypointNetwork
from ...passes.quantize.qparams import to_int8, weight_scales
from ..release.export_checkpoint import WHOLE


def to_grid(weight: Tensor) -> Tensor:
    """Return a weight (channels, ...) as its int8 has it, of one scale per output channel; on such grids it stays, but for float32 noise."""
    values = weight.detach().numpy()
    scales = weight_scales(values, 0)
    return from_numpy(to_int8(values, scales, 0) * scales.reshape(-1, *(1,) * (values.ndim - 1)))


def put_on_grid(network: KeypointNetwork) -> list[str]:
    """Round the trunk and what reads key points from it in place; return the convolutions' names."""
    layers = {
        name: layer
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Conv2d) and name.startswith(WHOLE)
    }
    with no_grad():
        for layer in layers.values():
            layer.weight.copy_(to_grid(layer.weight))
    return list(layers)


def main(arguments: Sequence[str] | None = None) -> None:
    """Put a checkpoint's trunk on its grids from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train grid",
        description="Round a trunk that has moved to weights that int8 holds.",
        epilog="example: posec train grid --checkpoint moved/checkpoint --out gridded/",
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder that a training wrote")
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    network, decoder, spec = load_checkpoint(chosen.checkpoint)
    rounded = put_on_grid(network)
    save_checkpoint(chosen.out, network, decoder, spec)
    print(f"{chosen.out}: {len(rounded)} convolutions on grids, {rounded[0]} to {rounded[-1]}")


if __name__ == "__main__":
    main()
