"""doctor: examine this machine for running bundles, with the next step for each problem."""

from __future__ import annotations

import argparse

from .interface.arguments import JSON, Verb, argument
from .interface.terminal import answer

VERB = Verb(
    "Examine this machine: engines, instruction sets, GPU, cameras, clock, memory, libraries; with a bundle, "
    "run it on its golden pictures. Exit status 1 if the bundle, or every bundle, cannot run here.",
    "posec doctor intel/",
    [argument("bundle", nargs="?", help="folder of a bundle that should run here"), JSON],
)


def run(args: argparse.Namespace) -> int:
    """Print the findings."""
    from ..device.doctor.doctor import examine, status_of, to_plain
    from ..device.doctor.finding import as_text

    findings = examine(args.bundle)
    answer(args, to_plain(findings), as_text(findings))
    return status_of(findings)
