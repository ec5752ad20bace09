"""Put a trunk that has moved on grids that int8 holds, so that what is measured of the network is what compiles.

PoseNet's weights were integers once, and integers of them are exact. A training that moves the trunk takes them off their grids, and
rounding them again moves people further than all other weights together. So weights are rounded here, before the heads settle on
what the trunk says then (`posec train joint --trunk-rate 0`).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, from_numpy, nn, no_grad

from ..errors import PosecError
from ..network.checkpoint import load_checkpoint, save_checkpoint
from ..network.pose_network import PoseNetwork
from ..network.trunk import BLOCKS, SKIP_BLOCK
from ..passes.integers import WEIGHT_LIMIT, to_int8, weight_scales

# What a training moves of it (`Trunk.freeze`), and what reads PoseNet's maps from there.
PARTS = (*(f"trunk.blocks.{number}." for number in range(SKIP_BLOCK, len(BLOCKS))), "reader.")
# Of a step: with so few, a multiple of it up to 127, of 7 binary digits, is one of float16's 11 digits, too.
_STEP_DIGITS = 4
# In steps: float32 noise is far below.
_SAME = 0.01


def to_grid(weight: Tensor) -> Tensor:
    """Return a weight (channels, ...) in whole multiples, up to 127, of a step per output channel; one that is so already, as it is."""
    values = weight.detach().double().numpy()
    rows = np.abs(values).reshape(len(values), -1)
    across = (-1, *(1,) * (values.ndim - 1))
    scales = weight_scales(values, 0).astype(np.float64)
    if (np.abs(values / scales.reshape(across) - to_int8(values, scales, 0)) < _SAME).all():
        return weight.clone()
    mantissa, exponent = np.frexp(np.maximum(rows.max(1), 1e-12) / WEIGHT_LIMIT)
    steps = np.ldexp(np.ceil(mantissa * 2**_STEP_DIGITS) / 2**_STEP_DIGITS, exponent)
    return from_numpy(to_int8(values, steps, 0) * steps.reshape(across)).to(weight.dtype)


def put_on_grid(network: PoseNetwork) -> list[str]:
    """Round the convolutions of `PARTS` in place; return the names of those that were on no grid."""
    rounded = []
    with no_grad():
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Conv2d) and name.startswith(PARTS):
                gridded = to_grid(layer.weight)
                if not gridded.equal(layer.weight):
                    layer.weight.copy_(gridded)
                    rounded.append(name)
    return rounded


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
    if not rounded:
        raise PosecError(f"the trunk of '{chosen.checkpoint}' is on its grids already; there is nothing to round")
    save_checkpoint(chosen.out, network, decoder, spec)
    print(f"{chosen.out}: {len(rounded)} convolutions rounded, {rounded[0]} to {rounded[-1]}")


if __name__ == "__main__":
    main()
