"""blame: the sensitivity of each head and layer to int8."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from . import EXIT_OK
from .interface import inputs
from .interface.arguments import CHECKPOINT, JSON, KEEP_FLOAT, SEED, TARGET, Verb, argument
from .interface.outputs import FileOut
from .interface.terminal import answer, progress, say, table, write_text

VERB = Verb(
    "Show which heads and layers of the int8 network lose people or add drift.",
    "posec blame reference --target intel-cpu --calibration calibration.json -o blame.svg",
    [
        CHECKPOINT,
        TARGET,
        argument("--calibration", required=True, help="ranges from `posec calibrate`"),
        argument(
            "--frames", default="samples", help="pictures of people (default: samples, the shipped scenes)"
        ),
        argument(
            "--count",
            type=int,
            default=16,
            help="number of frames; every layer runs on all of them (default: 16)",
        ),
        SEED,
        KEEP_FLOAT,
        argument(
            "--heads-only", action="store_true", help="skip the layers, which take far longer than the heads"
        ),
        argument(
            "--float-only",
            "--spare",
            action="store_true",
            help="also run with each layer alone in float; takes twice as long",
        ),
        argument(
            "--most",
            type=int,
            default=20,
            help="number of layers to show, most sensitive first (default: 20)",
        ),
        argument("-o", "--out", type=FileOut, help="write the table as a picture, .svg"),
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Print the drift of each head and layer."""
    import targets as boards

    from ..ir.ranges import Ranges
    from ..report.plots.sensitivity_plot import sensitivity_plot
    from ..verification.sensitivity import SensitivitySettings, measure_sensitivity

    target, graph = boards.load(args.target), inputs.checkpoint(args.checkpoint)
    target.check_precision("int8")
    frames = inputs.frames(args.frames, graph.spec, args.count, seed=args.seed, samples="scenes")
    settings = SensitivitySettings(
        keep_float=args.keep_float, layers=not args.heads_only, float_only=args.float_only
    )
    ranges = Ranges.load(args.calibration)
    found = measure_sensitivity(
        graph, target, ranges, frames=frames, settings=settings, progress=progress("networks")
    )
    if args.out:
        write_text(args.out, sensitivity_plot(found, args.most))
        say(f"wrote {args.out}")
    layers, rows = [asdict(each) for each in found.layers], found.rows(args.most)
    if not args.float_only:  # drift with one layer in float was not measured
        first = 2 + len(found.heads)
        rows[first:] = [[*row[:3], "", "", ""] for row in rows[first:]]
        layers = [{name: value for name, value in layer.items() if name != "float_only"} for layer in layers]
    heads = {name: asdict(remaining) for name, remaining in found.heads.items()}
    answer(args, {"whole": found.whole.to_dict(), "heads": heads, "layers": layers}, table(rows))
    return EXIT_OK
