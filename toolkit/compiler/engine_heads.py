"""Run a bundle's engine in its own process.

Usage: `python -m toolkit.compiler.engine_heads BUNDLE BATCHES.npy HEADS.npz`.
"""

from __future__ import annotations

import sys

import numpy as np

from ..runtime.bundle import read_bundle
from ..runtime.engines import open_engine
from ..runtime.errors import PoseError


def main(folder: str, batches: str, heads: str) -> int:
    """Write head name → (N, C, h, w) float32 of batches (N, 1, …).

    Returns 0; where the engine fails, prints the error and returns 2.
    """
    try:
        engine = open_engine(read_bundle(folder))
        # The engine may reuse its arrays: copy them.
        made = [
            {name: np.array(values) for name, values in engine(batch).items()} for batch in np.load(batches)
        ]
    except PoseError as error:
        print(error, file=sys.stderr)
        return 2
    arrays = {name: np.stack([each[name] for each in made]) for name in made[0]}
    np.savez(heads, **arrays)  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
