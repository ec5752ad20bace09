"""export, blame: a bundle of one precision, the ladder up to the precision whose people survive, and what int8 costs where."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import numpy as np

import targets as boards

from ..compiler.build import build
from ..errors import PosecError
from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..ir.target import Job
from ..report.candidates import FORMAT
from ..report.sensitivity_plot import blame_picture
from ..runtime.bundle import Bundle
from ..verification.precision_search import climb, searched
from ..verification.sensitivity import blame as lay_blame
from . import EXIT_FAILED, EXIT_OK, inputs
from .terminal import answer, progress, say, step, table, write_text

_MOST_GOLDEN = 8


def export(args: argparse.Namespace) -> int:
    """Compile a checkpoint into a bundle for one board; `--precision auto` takes the lowest precision whose people survive."""
    if args.precision == "auto":
        return _climb(args)
    target, graph = boards.load(args.target), inputs.checkpoint(args.checkpoint)
    bundle = build(graph, target, args.precision or target.precisions[0], inputs.ranges(args.calibration), args.out, _golden(args, graph),
                   keep_float=tuple(args.keep_float), overwrite=args.overwrite, progress=step)  # fmt: skip
    _warn_of_nobody(bundle)
    size, islands = _bytes(args.out), _float_islands(bundle)
    plain = {"written": str(args.out), "target": bundle.target, "precision": bundle.precision, "bytes": size, "float_islands": islands,
             "float_layers": bundle.float_layers}  # fmt: skip
    written = f"{args.out}: {bundle.target}, {bundle.precision}, {size / 1e6:.1f} MB"
    answer(args, plain, "\n".join([written, *_island_lines(bundle, args.keep_float)]))
    return EXIT_OK


def _golden(args: argparse.Namespace, graph: Graph) -> list[np.ndarray] | None:
    """Return the user's golden pictures, BGR (H, W, 3) uint8; None for the shipped scenes."""
    return (
        list(inputs.frames(args.golden, graph.spec, _MOST_GOLDEN, samples="scenes")) if args.golden else None
    )


def _warn_of_nobody(bundle: Bundle) -> None:
    """Print how to get a verdict where the float network finds no people on the golden pictures."""
    if not any(len(people) for _, people in bundle.golden()):
        say(
            "no people on the golden pictures, so no board can be judged by them: export again with --golden and pictures of your camera"
        )


def _float_islands(bundle: Bundle) -> int | None:
    """Return how many parts of an int8 network compute in float; None where the back end does not count them."""
    return dict(bundle.passes).get("refuse_islands") if bundle.precision == "int8" else None


def _island_lines(bundle: Bundle, asked: Collection[str]) -> list[str]:
    """Say how many float islands there are and why, given the layers that were asked to stay float; nothing where none were counted."""
    islands = _float_islands(bundle)
    if islands is None:
        return []
    why = "the heads' last layers, where integers cost most drift" + (
        ", and those asked for" if asked else ""
    )
    return [
        f"float islands: {islands} ({why}); layers: {', '.join(bundle.float_layers)}"
        if islands
        else "float islands: 0"
    ]


def _bytes(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def _climb(args: argparse.Namespace) -> int:
    """Export by the ladder; every rung goes into a file, whether one was taken or not."""
    target, graph, ranges = (
        boards.load(args.target),
        inputs.checkpoint(args.checkpoint),
        inputs.ranges(args.calibration),
    )
    if args.keep_float:
        raise PosecError(
            "--precision auto finds by itself which layers to keep float; leave --keep-float out, or ask for int8"
        )
    without_int8 = ranges is None and "int8" in target.precisions
    if without_int8 and searched(target, calibrated=False) == ["float32"]:
        raise PosecError("--precision auto tries int8 first, which needs ranges: make them with `posec calibrate … -o calibration.json` "
                         "and pass --calibration calibration.json")  # fmt: skip
    if without_int8:
        say("int8 is left out: it needs --calibration")
    frames = inputs.frames(args.frames, graph.spec, args.count, samples="scenes")
    found = climb(graph, target, ranges or Ranges({}, "none", graph.sha256, ()), frames, args.out, golden=_golden(args, graph), overwrite=args.overwrite,
                  threads=args.threads, say=step)  # fmt: skip
    record = Path(args.ladder or f"{str(args.out).rstrip('/')}.ladder.json")
    plain = {"format": FORMAT, "network": graph.spec.name, "target": target.name, "judged_on": {"source": args.frames, "frames": len(frames)},
             "written": str(args.out) if found else None, **found.to_dict()}  # fmt: skip
    write_text(record, json.dumps(plain, indent=1, allow_nan=False) + "\n")
    verdict = (
        f"{args.out}: {target.name}, {found.taken.name}"
        if found.taken
        else "no precision keeps the allowance; nothing was exported"
    )
    islands = _island_lines(found.bundle, found.taken.float_layers) if found.bundle and found.taken else []
    answer(
        args,
        plain,
        "\n".join(
            [table(found.rows()), verdict, *islands, f"{record}: every rung, for `posec report --ladder`"]
        ),
    )
    return EXIT_OK if found else EXIT_FAILED


def blame(args: argparse.Namespace) -> int:
    """Say which head and which layer of the int8 network loses the people or the millimetres."""
    target, graph = boards.load(args.target), inputs.checkpoint(args.checkpoint)
    target.check_precision("int8")
    frames = inputs.frames(args.frames, graph.spec, args.count, args.seed, samples="scenes")
    found = lay_blame(graph, Ranges.load(args.calibration), target.backend.scheme(Job(target, "int8")), frames, args.keep_float,
                      layers=not args.heads_only, spare=args.spare, progress=progress("networks"))  # fmt: skip
    if args.out:
        write_text(args.out, blame_picture(found, args.most))
        say(f"wrote {args.out}")
    heads, layers, rows = len(found.heads), [asdict(each) for each in found.layers], found.rows(args.most)
    if not args.spare:  # then nobody knows what one layer in float would mend
        rows[2 + heads :] = [[*row[:3], "", "", ""] for row in rows[2 + heads :]]
        layers = [{name: value for name, value in layer.items() if name != "spared"} for layer in layers]
    plain = {
        "whole": found.whole.to_dict(),
        "heads": {name: asdict(remains) for name, remains in found.heads.items()},
        "layers": layers,
    }
    answer(args, plain, table(rows))
    return EXIT_OK
