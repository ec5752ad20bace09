"""report: one page of results."""

from __future__ import annotations

import argparse

from . import EXIT_OK
from .interface.arguments import FILE_OUT, JSON, Verb, argument
from .interface.budgets import BUDGETS, budgets_of
from .interface.terminal import answer

VERB = Verb(
    "Write one page: pictures, tables, accuracy against latency.",
    "posec report results/ --max-ms 30 -o report.html",
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
        *BUDGETS,
        FILE_OUT,
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Write the page."""
    from ..report.html import write_report

    comparison = write_report(args.results, args.out, searches=args.candidates, budgets=budgets_of(args))
    sentences = [choice.recommendation for choice in comparison.choices]
    plain = {"written": str(args.out), "machines": [choice.to_dict() for choice in comparison.choices]}
    written = f"{args.out}: open it in a browser; it needs no network"
    answer(args, plain, "\n".join([*sentences, written]))
    return EXIT_OK
