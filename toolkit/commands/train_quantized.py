"""Quantization-aware training of a checkpoint, for networks that calibration alone leaves inaccurate."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import targets as boards

from ..ir.ranges import Ranges
from ..network.checkpoint import save_graph
from ..runtime.command.refusals import exit_status
from ..training.int8.finetune import QATSettings, finetune
from ..training.run.configuration import add_settings, chosen_settings
from ..training.run.runs import RunFiles, log_line
from .interface import inputs
from .interface.terminal import say


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `finetune` from the command line."""
    parser = argparse.ArgumentParser(
        prog="posec train quantized",
        description=__doc__,
        epilog="example: posec train quantized reference --calibration calibration.json --frames photos/ "
        "--target intel-cpu --out finetuned/",
    )
    parser.add_argument("checkpoint", help="'reference' or the folder of a checkpoint")
    parser.add_argument(
        "--calibration", required=True, help="ranges of the checkpoint, written by `posec calibrate`"
    )
    parser.add_argument("--frames", required=True, help="folder, listing or video; labels are not needed")
    parser.add_argument("--count", type=int, help="number of frames (default: all)")
    parser.add_argument(
        "--target",
        default="generic-cpu",
        help="board with the int8 scheme to train for (default: generic-cpu, the scheme of intel-cpu, too)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="folder of the new checkpoint; an interrupted run resumes from the .state beside it",
    )
    add_settings(parser, QATSettings, "finetune")
    options = parser.parse_args(arguments)

    target, graph = boards.load(options.target), inputs.checkpoint(options.checkpoint)
    target.check_precision("int8")
    result = finetune(
        graph,
        target,
        Ranges.load(options.calibration),
        frames=inputs.frames(options.frames, graph.spec, options.count),
        settings=chosen_settings(options, QATSettings),
        files=RunFiles(*(options.out.with_name(options.out.name + end) for end in (".state", ".jsonl"))),
        progress=lambda step, figures: print(log_line(step, figures), flush=True),
    )
    save_graph(options.out, result.graph)
    say(
        f"{options.out}: loss of int8 on held-out frames {result.loss_before:.3g} before, "
        f"{result.loss_after:.3g} after; next: posec calibrate {options.out}"
    )


if __name__ == "__main__":
    sys.exit(exit_status(main))
