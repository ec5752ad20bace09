"""targets: the boards, their precisions, and what is missing to export for them."""

from __future__ import annotations

import argparse

from . import EXIT_OK
from .interface.arguments import JSON, Verb
from .interface.terminal import answer, table

VERB = Verb(
    "List the boards: engine, precisions, and what is not installed here.",
    "posec targets --json",
    [JSON],
)


def run(args: argparse.Namespace) -> int:
    """Print the boards."""
    import targets as boards

    known = [boards.load(name) for name in boards.names()]
    plain = [
        {
            "name": each.name,
            "title": each.title,
            "engine": each.backend.ENGINE,
            "precisions": list(each.precisions),
            "refusals": dict(each.refusals),
            "advice": dict(each.advice),
            "missing": each.backend.missing(),
        }
        for each in known
    ]
    rows = [["target", "board", "engine", "precisions", "exports here"]]
    for each in known:
        precisions, missing = ", ".join(each.precisions), each.backend.missing()
        rows.append([each.name, each.title, each.backend.ENGINE, precisions, missing or "yes"])
    notes = [
        f"{each.name}: no {precision}: {reason}"
        for each in known
        for precision, reason in each.refusals.items()
    ]
    answer(args, plain, "\n".join([table(rows), *([""] if notes else []), *notes]))
    return EXIT_OK
