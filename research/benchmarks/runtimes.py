"""The same people in every runtime: one calibration, int8 bundles of several targets, compared by person.

    python -m research.benchmarks.runtimes reference --frames photos/ --judge scenes/ -o out/runtimes

A cell is the drift of the row's people from the column's: mean and 95th percentile in mm, people lost and
invented. ONNX Runtime runs a Jetson's graph where there is no TensorRT.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import calibration
import targets
from toolkit.commands.interface import inputs
from toolkit.commands.interface.terminal import progress, say, table, write_text
from toolkit.runtime.command.refusals import exit_status
from toolkit.verification.across_runtimes import across_runtimes

TARGETS = ("generic-cpu", "intel-cpu", "raspberry-pi-5", "jetson-orin-nano")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the comparison from the command line; exit status 1 where a target misses its allowance."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", help="folder of a checkpoint, or reference")
    parser.add_argument(
        "--frames",
        default="samples",
        help="to calibrate on: folder, listing or video; samples for those that are shipped",
    )
    parser.add_argument(
        "--judge", default="samples", help="to compare on; samples for the rendered scenes that are shipped"
    )
    parser.add_argument("--count", type=int, help="how many to compare on")
    parser.add_argument("--observer", default="min-max")
    parser.add_argument("--targets", nargs="+", default=TARGETS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    graph = inputs.checkpoint(options.checkpoint)
    ranges = calibration.collect(
        graph, inputs.frames(options.frames, graph.spec), options.observer, progress("calibrating")
    )
    judged = inputs.frames(options.judge, graph.spec, options.count, samples="scenes")
    found = across_runtimes(
        graph,
        [targets.load(name) for name in options.targets],
        ranges,
        frames=judged,
        folder=options.out,
        threads=options.threads,
        progress=say,
    )
    write_text(options.out / "runtimes.json", json.dumps(found.to_dict()))
    print(table(found.rows()))
    raise SystemExit(0 if found else 1)


if __name__ == "__main__":
    sys.exit(exit_status(main))
