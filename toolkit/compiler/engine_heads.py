"""Run a bundle's engine in its own process.

Usage: `python -m toolkit.compiler.engine_heads BUNDLE BATCHES.npy HEADS.npz [--threads N]`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from ..runtime.bundle import read_bundle
from ..runtime.command.arguments import Parser
from ..runtime.command.refusals import exit_status
from ..runtime.engines import open_engine


def main(arguments: Sequence[str] | None = None) -> None:
    """Write head name → (N, C, h, w) float32 of batches (N, 1, …).

    Raises PoseError where the engine fails.
    """
    parser = Parser(prog="python -m toolkit.compiler.engine_heads", description=__doc__)
    parser.add_argument("bundle", help="a folder that `posec export` wrote")
    parser.add_argument("batches", help="inputs of the engine (.npy)")
    parser.add_argument("heads", help="file to write (.npz)")
    parser.add_argument("--threads", type=int, help="of the engine (default: the bundle's)")
    args = parser.parse_args(arguments)
    engine = open_engine(read_bundle(args.bundle), args.threads)
    # The engine may reuse its arrays: copy them.
    made = [
        {name: np.array(values) for name, values in engine(batch).items()} for batch in np.load(args.batches)
    ]
    arrays = {name: np.stack([each[name] for each in made]) for name in made[0]}
    np.savez(args.heads, **arrays)  # type: ignore[arg-type]


if __name__ == "__main__":
    sys.exit(exit_status(main))
