"""Time decoding by number of people, with and without the fit, beside another checkout in the same process.

    python research/benchmarks/decode_people.py --against OTHER_CHECKOUT

Both decode the same heads in turn, on numpy's default threads. Read the ratios: times depend on the
machine's load.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.runtime.command.refusals import exit_status

HERE = Path(__file__).parents[2]
PEOPLE = (1, 2, 5, 20, 50)


def decoder_of(root: Path) -> Callable[[Any, bool], Any]:
    """Return decode(heads, fit) of the checkout in a folder, for its reference network."""
    for name in [name for name in sys.modules if name.split(".")[0] in ("toolkit", "targets", "calibration")]:
        del sys.modules[name]
    sys.path.insert(0, str(root))
    from toolkit.frontend.trace import trace
    from toolkit.runtime.decoding.decode import DecodeOptions, decode_heads
    from toolkit.runtime.decoding.kinematics import layers
    from toolkit.runtime.preprocess import place

    sys.path.pop(0)
    graph = trace("reference")
    layers_, box = layers(graph.decoder), place(*graph.spec.input_size, graph.spec)[0]
    return lambda heads, fit: decode_heads(
        heads,
        graph.spec,
        layers_,
        letterbox=box,
        options=DecodeOptions() if fit else DecodeOptions(refinement=None),
    )


def main() -> None:
    """Print a line per number of people."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout of this project")
    parser.add_argument("--repeats", type=int, default=100)
    given = parser.parse_args()
    others = {"other": decoder_of(given.against)} if given.against else {}
    decoders = {**others, "this": decoder_of(HERE)}
    from toolkit.device.timing.decode_cost import crowd_heads
    from toolkit.frontend.trace import trace

    spec = trace("reference").spec
    gc.disable()
    print("people  checkout   decode ms (p10)   without fit (p10)   fit")
    for people in PEOPLE:
        heads = crowd_heads(spec, people)
        took: dict[tuple[str, bool], list[float]] = {
            (name, fit): [] for name in decoders for fit in (True, False)
        }
        for _ in range(given.repeats):
            for (name, fit), times in took.items():
                start = time.perf_counter()
                decoders[name](heads, fit)
                times.append(1000 * (time.perf_counter() - start))
        middle = {key: float(np.median(times)) for key, times in took.items()}
        least = {key: float(np.percentile(times, 10)) for key, times in took.items()}
        for name in decoders:
            fit, plain = (name, True), (name, False)
            print(
                f"{people:6}  {name:8}  {middle[fit]:8.3f} ({least[fit]:.3f})  "
                f"{middle[plain]:8.3f} ({least[plain]:.3f})  "
                f"{middle[fit] - middle[plain]:8.3f}"
            )
        if others:
            print(
                f"{people:6}  ratio     {middle['this', True] / middle['other', True]:8.3f} "
                f"({least['this', True] / least['other', True]:.3f})"
            )


if __name__ == "__main__":
    sys.exit(exit_status(main))
