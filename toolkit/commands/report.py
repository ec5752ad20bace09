"""report: one page of results."""

from __future__ import annotations

import argparse

from . import EXIT_OK
from .interface.arguments import FILE_OUT, JSON, Verb, argument
from .interface.terminal import answer

VERB = Verb(
    "Write one page: pictures, tables, accuracy against latency.",
    "posec report results/ -o report.html",
    [
        argument(
            "results",
            help="folder or file of `posec bench` or `posec deploy`; precision searches in it are shown",
        ),
        argument(
            "--candidates",
            "--ladder",
            nargs="+",
            default=[],
            metavar="FILE",
            help="also show the candidates of these precision searches, from `posec export --precision auto`",
        ),
        FILE_OUT,
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Write the page."""
    from ..report.html import write_report

    write_report(args.results, args.out, searches=args.candidates)
    answer(args, {"written": str(args.out)}, f"{args.out}: open it in a browser; it needs no network")
    return EXIT_OK
