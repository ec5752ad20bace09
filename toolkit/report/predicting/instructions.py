"""Predicted instructions of a network on boards whose operators were counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...compiler.checks import lower_nominal
from ...cost.graph_operators import predicted_cost
from ...cost.table import CostTable
from ...ir.graph import Graph
from ...ir.target import Job, Target
from .bound import Prediction


def with_instructions(
    predictions: Sequence[Prediction], prepared: Graph, boards: Sequence[tuple[Target, CostTable]]
) -> list[Prediction]:
    """Return the predictions, with instructions where a board's table has all operators of the network."""
    tables = {
        (board.name, precision): (board, table) for board, table in boards for precision in board.precisions
    }
    found = []
    for each in predictions:
        if (each.target, each.precision) in tables:
            board, table = tables[each.target, each.precision]
            cost = predicted_cost(lower_nominal(prepared, Job(board, each.precision)), table)
            if not cost["not_counted"]:
                each = replace(
                    each, instructions=1e6 * cost["instructions_m"], instructions_error=cost["largest_error"]
                )
        found.append(each)
    return found
