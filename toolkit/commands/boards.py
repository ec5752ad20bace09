"""targets, plan, tensorrt-check: boards and their precisions, the plan of an export, and TensorRT's rules."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import targets as boards

from ..compiler.build import plan as make_plan
from ..passes.tensorrt.check import check_file
from . import EXIT_FAILED, EXIT_OK, inputs
from .terminal import answer, table


def targets(args: argparse.Namespace) -> int:
    """List the boards: back end, precisions, and what is not installed here."""
    known = [boards.load(name) for name in boards.names()]
    plain = [
        {
            "name": t.name,
            "title": t.title,
            "engine": t.backend.ENGINE,
            "precisions": list(t.precisions),
            "refusals": dict(t.refusals),
            "advice": dict(t.advice),
            "missing": t.backend.missing(),
        }
        for t in known
    ]
    rows = [["target", "board", "engine", "precisions", "exports here"]]
    rows += [
        [t.name, t.title, t.backend.ENGINE, ", ".join(t.precisions), t.backend.missing() or "yes"]
        for t in known
    ]
    notes = [f"{t.name}: no {precision}: {reason}" for t in known for precision, reason in t.refusals.items()]
    answer(args, plain, table(rows) + ("\n\n" + "\n".join(notes) if notes else ""))
    return EXIT_OK


def plan(args: argparse.Namespace) -> int:
    """Print the export plan without writing anything."""
    target = boards.load(args.target)
    precision = args.precision or target.precisions[0]
    planned = make_plan(
        inputs.checkpoint(args.checkpoint),
        target,
        precision,
        ranges=inputs.ranges(args.calibration),
        keep_float=args.keep_float,
    )
    answer(args, planned, "\n".join(f"{key}: {_text(value)}" for key, value in planned.items()))
    return EXIT_OK


def _text(value: Any, indent: str = "  ") -> str:
    """Return a part of a plan as text: numbers on one line, layers grouped by reason."""
    if isinstance(value, list | tuple):
        return ", ".join(_text(inner) for inner in value) or "none"
    if not isinstance(value, Mapping):
        return str(value)
    if value and all(
        isinstance(inner, int | float) and not isinstance(inner, bool) for inner in value.values()
    ):
        return ", ".join(f"{key} {number:g}" for key, number in value.items())
    shared: dict[str, list[str]] = {}
    for key, inner in value.items():
        shared.setdefault(inner if isinstance(inner, str) else f"\n{key}", []).append(key)
    if any(len(keys) > 1 for keys in shared.values()):
        return "".join(f"\n{indent}{why} ({len(keys)}): {', '.join(keys)}" for why, keys in shared.items())
    return (
        "".join(f"\n{indent}{key}: {_text(inner, indent + '  ')}" for key, inner in value.items()) or "none"
    )


def tensorrt_check(args: argparse.Namespace) -> int:
    """Check an ONNX file against TensorRT's rules, without TensorRT; exit status 1 where one is broken."""
    found = {version: check_file(args.model, version) for version in args.tensorrt}
    lines = []
    for version, findings in found.items():
        broken = f"{len(findings)} rules broken" if findings else "no known rule broken"
        lines.append(f"TensorRT {version}: {broken}")
        lines += [f"  {finding}" for finding in findings]
    answer(
        args,
        {version: [asdict(finding) for finding in findings] for version, findings in found.items()},
        "\n".join(lines),
    )
    return EXIT_FAILED if any(found.values()) else EXIT_OK
