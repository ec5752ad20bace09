"""plan: what an export would do."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from . import EXIT_OK
from .interface import inputs
from .interface.arguments import CALIBRATION, CHECKPOINT, JSON, KEEP_FLOAT, TARGET, Verb, argument
from .interface.terminal import answer

VERB = Verb(
    "Print the export plan without writing anything.",
    "posec plan reference --target jetson-orin-nano",
    [
        CHECKPOINT,
        TARGET,
        argument("--precision", help="float32, float16 or int8 (default: the first precision of the target)"),
        CALIBRATION,
        KEEP_FLOAT,
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Print the plan of an export."""
    import targets as boards

    from ..compiler.build import plan

    target = boards.load(args.target)
    precision = args.precision or target.precisions[0]
    graph, ranges = inputs.checkpoint(args.checkpoint), inputs.ranges(args.calibration)
    costs = boards.operator_costs(args.target)
    planned = plan(graph, target, precision, ranges=ranges, keep_float=args.keep_float, costs=costs)
    answer(args, planned, "\n".join(f"{key}: {_text(value)}" for key, value in planned.items()))
    return EXIT_OK


def _text(value: Any, indent: str = "  ") -> str:
    """Return a part of a plan as text: numbers on one line, layers grouped by reason."""
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(inner) for inner in value) or "none"
    if not isinstance(value, Mapping):
        return str(value)
    if value and all(_is_number(inner) for inner in value.values()):
        return ", ".join(f"{key} {number:g}" for key, number in value.items())
    by_reason: dict[str, list[str]] = {}
    for key, inner in value.items():
        by_reason.setdefault(inner if isinstance(inner, str) else f"\n{key}", []).append(key)
    if any(len(keys) > 1 for keys in by_reason.values()):
        return "".join(
            f"\n{indent}{reason} ({len(keys)}): {', '.join(keys)}" for reason, keys in by_reason.items()
        )
    lines = [f"\n{indent}{key}: {_text(inner, indent + '  ')}" for key, inner in value.items()]
    return "".join(lines) or "none"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
