"""choose: the bundle to take on each machine, within budgets."""

from __future__ import annotations

import argparse

from . import EXIT_FAILED, EXIT_OK
from .interface.arguments import JSON, Verb, argument
from .interface.budgets import BUDGETS, budgets_of
from .interface.terminal import answer

VERB = Verb(
    "Choose the fastest measured bundle within budgets on each machine, and give the reason; exit "
    "status 1 if no bundle is within them.",
    "posec choose results/ --max-ms 30 --max-drift-ratio 1.5",
    [argument("results", help="folder or file of `posec bench` or `posec deploy`"), *BUDGETS, JSON],
)


def run(args: argparse.Namespace) -> int:
    """Print the recommendation for each machine."""
    from ..device.result import read_results
    from ..report.choosing.comparison import compare
    from ..report.html import ordered

    comparison = compare(ordered(read_results(args.results)), budgets_of(args))
    lines = []
    for choice in comparison.choices:
        lines += [choice.recommendation, *filter(None, (choice.runner_up, choice.int8))]
        for option, missed in choice.outside:
            lines.append(f"  outside: {option.name}: {'; '.join(gap.reason for gap in missed)}")
    plain = {"machines": [choice.to_dict() for choice in comparison.choices]}
    answer(args, plain, "\n".join(lines or ["no result has a bench"]))
    return EXIT_OK if comparison else EXIT_FAILED
