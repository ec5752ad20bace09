"""report: one page of results."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import PosecError
from . import EXIT_OK
from .interface import inputs
from .interface.arguments import FILE_OUT, JSON, Verb, argument
from .interface.budgets import BUDGETS, budgets_of
from .interface.terminal import answer

if TYPE_CHECKING:
    from ..device.result import Result
    from ..report.predicting.bound import Prediction

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
        argument(
            "--predict",
            nargs="+",
            default=[],
            metavar="TARGET",
            help="also predict the inference time on these boards by their peak figures, apart from results",
        ),
        argument(
            "--checkpoint",
            default="reference",
            help="for --predict: the network (default: reference)",
        ),
        FILE_OUT,
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Write the page."""
    from ..report.html import write_report

    comparison = write_report(
        args.results, args.out, searches=args.candidates, budgets=budgets_of(args), predict=_predictor(args)
    )
    sentences = [choice.recommendation for choice in comparison.choices]
    plain = {"written": str(args.out), "machines": [choice.to_dict() for choice in comparison.choices]}
    written = f"{args.out}: open it in a browser; it needs no network"
    answer(args, plain, "\n".join([*sentences, written]))
    return EXIT_OK


def _predictor(args: argparse.Namespace) -> Callable[[Sequence[Result]], Sequence[Prediction]]:
    """Return a function that predicts times on the boards of --predict. Raises PosecError without peaks."""
    if not args.predict:
        return lambda results: ()
    import targets as boards

    from ..passes import prepare
    from ..report.predicting.bound import predictions
    from ..report.predicting.instructions import with_instructions
    from ..report.predicting.workload import layer_work

    named = [boards.load(name) for name in args.predict]
    for board in named:
        if "peak_gops" not in board.facts or "memory_gb_s" not in board.facts:
            raise PosecError(
                f"target '{board.name}' states no peak figures; add peak_gops and memory_gb_s to its "
                "[facts], or leave it out of --predict"
            )
    graph = inputs.checkpoint(args.checkpoint)
    work, prepared = layer_work(graph), prepare(graph)
    facts = [(board.name, board.precisions, board.facts) for board in named]
    counted = [
        (board, costs)
        for name, board in zip(args.predict, named, strict=True)
        if (costs := boards.operator_costs(name))
    ]
    return lambda results: with_instructions(predictions(work, facts, results), prepared, counted)
