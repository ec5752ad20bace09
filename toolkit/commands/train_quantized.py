"""posec train quantized: a quantization-aware finish of a checkpoint, for when calibration alone is not enough."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import targets as boards

from ..ir.ranges import Ranges
from ..network.checkpoint import save_graph
from ..training.int8.finetune import Finishing, finish
from ..training.run.configuration import add_settings, chosen_settings
from . import inputs
from .terminal import say

_EVERY = 10


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `finish` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train quantized", description=__doc__,
        epilog="example: posec train quantized reference --calibration calibration.json --frames photos/ --target intel-cpu --out finished/",
    )  # fmt: skip
    parser.add_argument("checkpoint", help="'reference' or the folder of a checkpoint")
    parser.add_argument("--calibration", required=True, help="its ranges, as `posec calibrate` wrote them")
    parser.add_argument("--frames", required=True, help="folder, listing or video; no labels are needed")
    parser.add_argument("--count", type=int, help="how many of them")
    parser.add_argument(
        "--target",
        default="generic-cpu",
        help="a board whose integers are learned (default: generic-cpu, as intel-cpu)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder of the new checkpoint: calibrate and export it as any other",
    )
    add_settings(parser, Finishing, "quantized")
    options = parser.parse_args(arguments)

    target, graph = boards.load(options.target), inputs.checkpoint(options.checkpoint)
    target.check_precision("int8")

    def report(step: int, figures: Mapping[str, float]) -> None:
        if step % _EVERY == 0:
            print(
                json.dumps(
                    {"step": step, **{name: float(f"{value:.4g}") for name, value in figures.items()}}
                ),
                flush=True,
            )

    frames = inputs.frames(options.frames, graph.spec, options.count)
    found = finish(
        graph, target, Ranges.load(options.calibration), frames, chosen_settings(options, Finishing), report
    )
    save_graph(options.out, found.graph)
    say(
        f"{options.out}: int8 against float on held frames: {found.before:.3g} before, {found.after:.3g} after; now `posec calibrate {options.out}`"
    )


if __name__ == "__main__":
    main()
