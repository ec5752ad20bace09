"""export, blame: write a bundle of one precision or of the best one, and show where int8 adds drift."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import numpy as np

import targets as boards

from ..compiler.build import export_bundle
from ..compiler.request import ExportRequest
from ..errors import PosecError
from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..report.candidates import FORMAT
from ..report.sensitivity_plot import blame_picture
from ..runtime.bundle import Bundle
from ..verification.candidate_bench import SearchSettings
from ..verification.precision_search import search_precision
from ..verification.sensitivity import SensitivitySettings, measure_sensitivity
from . import EXIT_FAILED, EXIT_OK, inputs
from .terminal import answer, progress, say, step, table, write_text

_MOST_GOLDEN = 8


def export(args: argparse.Namespace) -> int:
    """Compile a checkpoint into a bundle; `auto` takes the lowest precision within the target's limits."""
    if args.precision == "auto":
        return _search(args)
    target, graph = boards.load(args.target), inputs.checkpoint(args.checkpoint)
    request = ExportRequest(
        out=args.out,
        precision=args.precision or target.precisions[0],
        ranges=inputs.ranges(args.calibration),
        golden=_golden(args, graph),
        keep_float=tuple(args.keep_float),
        overwrite=args.overwrite,
    )
    bundle = export_bundle(graph, target, request, progress=step)
    _warn_of_no_people(bundle)
    size = _bytes(args.out)
    plain = {
        "written": str(args.out),
        "target": bundle.target,
        "precision": bundle.precision,
        "bytes": size,
        "float_islands": _float_islands(bundle),
        "float_layers": bundle.float_layers,
    }
    written = f"{args.out}: {bundle.target}, {bundle.precision}, {size / 1e6:.1f} MB"
    answer(args, plain, "\n".join([written, *_island_lines(bundle, args.keep_float)]))
    return EXIT_OK


def _golden(args: argparse.Namespace, graph: Graph) -> list[np.ndarray] | None:
    """Return the user's golden pictures, BGR (H, W, 3) uint8; None for the shipped scenes."""
    return (
        list(inputs.frames(args.golden, graph.spec, _MOST_GOLDEN, samples="scenes")) if args.golden else None
    )


def _warn_of_no_people(bundle: Bundle) -> None:
    """Print how to get a verdict where the float network finds no people on the golden pictures."""
    if not any(len(people) for _, people in bundle.golden()):
        say(
            "no people on the golden pictures, so no board can be judged by them: "
            "export again with --golden and pictures of your camera"
        )


def _float_islands(bundle: Bundle) -> int | None:
    """Return the number of float islands of an int8 network; None where the back end does not count them."""
    return dict(bundle.passes).get("check_float_islands") if bundle.precision == "int8" else None


def _island_lines(bundle: Bundle, keep_float: Collection[str]) -> list[str]:
    """Return a line on the float islands and their cause; none where the back end does not count them."""
    islands = _float_islands(bundle)
    if islands is None:
        return []
    if not islands:
        return ["float islands: 0"]
    why = "the heads' last layers, where int8 adds most drift" + (", and --keep-float" if keep_float else "")
    return [f"float islands: {islands} ({why}); layers: {', '.join(bundle.float_layers)}"]


def _bytes(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def _search(args: argparse.Namespace) -> int:
    """Export by precision search; a file records every candidate, whether one was taken or not."""
    target, graph = boards.load(args.target), inputs.checkpoint(args.checkpoint)
    ranges = inputs.ranges(args.calibration)
    if args.keep_float:
        raise PosecError(
            "--precision auto finds by itself which layers to keep float; leave --keep-float out, or ask for int8"
        )
    if ranges is None and "int8" in target.precisions:
        raise PosecError(
            "--precision auto tries int8 first, which needs ranges: make them with "
            "`posec calibrate … -o calibration.json` and pass --calibration calibration.json"
        )
    frames = inputs.frames(args.frames, graph.spec, args.count, samples="scenes")
    settings = SearchSettings(
        out=args.out, golden=_golden(args, graph), overwrite=args.overwrite, threads=args.threads
    )
    ranges = ranges or Ranges({}, "none", graph.sha256, ())
    found = search_precision(graph, target, ranges, frames=frames, settings=settings, progress=step)
    record = Path(args.ladder or f"{str(args.out).rstrip('/')}.ladder.json")
    plain = {
        "format": FORMAT,
        "network": graph.spec.name,
        "target": target.name,
        "judged_on": {"source": args.frames, "frames": len(frames)},
        "written": str(args.out) if found else None,
        **found.to_dict(),
    }
    write_text(record, json.dumps(plain, indent=1, allow_nan=False) + "\n")
    verdict, islands = "no precision is within the limits; nothing was exported", list[str]()
    if found.taken and found.bundle:
        verdict = f"{args.out}: {target.name}, {found.taken.name}"
        islands = _island_lines(found.bundle, found.taken.float_layers)
    recorded = f"{record}: every candidate, for `posec report --ladder`"
    answer(args, plain, "\n".join([table(found.rows()), verdict, *islands, recorded]))
    return EXIT_OK if found else EXIT_FAILED


def blame(args: argparse.Namespace) -> int:
    """Show which head and which layer of the int8 network lose people or add drift."""
    target, graph = boards.load(args.target), inputs.checkpoint(args.checkpoint)
    target.check_precision("int8")
    frames = inputs.frames(args.frames, graph.spec, args.count, args.seed, samples="scenes")
    settings = SensitivitySettings(
        keep_float=args.keep_float, layers=not args.heads_only, float_only=args.spare
    )
    ranges = Ranges.load(args.calibration)
    found = measure_sensitivity(
        graph, target, ranges, frames=frames, settings=settings, progress=progress("networks")
    )
    if args.out:
        write_text(args.out, blame_picture(found, args.most))
        say(f"wrote {args.out}")
    heads, layers, rows = len(found.heads), [asdict(each) for each in found.layers], found.rows(args.most)
    if not args.spare:  # drift with one layer in float was not measured
        rows[2 + heads :] = [[*row[:3], "", "", ""] for row in rows[2 + heads :]]
        layers = [{name: value for name, value in layer.items() if name != "float_only"} for layer in layers]
    plain = {
        "whole": found.whole.to_dict(),
        "heads": {name: asdict(remaining) for name, remaining in found.heads.items()},
        "layers": layers,
    }
    answer(args, plain, table(rows))
    return EXIT_OK
