"""export: a bundle of one precision, or of the lowest precision within the target's drift limits."""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PosecError
from . import EXIT_FAILED, EXIT_OK
from .interface import inputs
from .interface.arguments import (
    CALIBRATION,
    CHECKPOINT,
    COUNT,
    FOLDER_OUT,
    JSON,
    KEEP_FLOAT,
    OVERWRITE,
    TARGET,
    THREADS,
    Verb,
    argument,
)
from .interface.outputs import FileOut
from .interface.terminal import answer, say, step, table, write_text

if TYPE_CHECKING:
    import numpy as np

    from ..ir.graph import Graph
    from ..runtime.bundle import Bundle

VERB = Verb(
    "Compile a checkpoint into a bundle for one board.",
    "posec export reference --target intel-cpu --precision int8 --calibration calibration.json -o intel/",
    [
        CHECKPOINT,
        TARGET,
        argument(
            "--precision",
            help="float32, bfloat16, float16, int8, or auto: the lowest precision within the target's "
            "drift limits (default: the first precision of the target)",
        ),
        CALIBRATION,
        KEEP_FLOAT,
        argument(
            "--golden",
            metavar="PICTURES",
            help="a folder, a video or a .txt list of pictures of people from your camera; the bundle ships "
            "up to 8, and a board is checked on the people in them (default: shipped scenes)",
        ),
        argument(
            "--frames",
            default="samples",
            help="for auto: pictures of people to measure drift on (default: samples, the shipped scenes)",
        ),
        COUNT,
        THREADS,
        argument(
            "--candidates",
            "--ladder",
            type=FileOut,
            metavar="FILE",
            help="for auto: file that records every candidate for the report (default: OUT.candidates.json)",
        ),
        FOLDER_OUT,
        OVERWRITE,
        JSON,
    ],
)
_MOST_GOLDEN = 8


def run(args: argparse.Namespace) -> int:
    """Write a bundle."""
    return _search(args) if args.precision == "auto" else _export(args)


def _export(args: argparse.Namespace) -> int:
    """Write a bundle of one precision."""
    import targets as boards

    from ..compiler.build import export_bundle
    from ..compiler.request import ExportRequest

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
    size = sum(path.stat().st_size for path in Path(args.out).rglob("*") if path.is_file())
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


def _search(args: argparse.Namespace) -> int:
    """Write the bundle of a precision search; a file records every candidate, even if none was taken."""
    import targets as boards

    from ..ir.ranges import Ranges
    from ..report.file_kinds import CANDIDATES, CANDIDATES_ENDING
    from ..verification.candidate_bench import SearchSettings
    from ..verification.precision_search import search_precision, searched

    target, graph = boards.load(args.target), inputs.checkpoint(args.checkpoint)
    ranges = inputs.ranges(args.calibration)
    without_int8 = ranges is None and "int8" in target.precisions
    _check_search(args, needs_ranges=without_int8 and searched(target, calibrated=False) == ["float32"])
    if without_int8:
        say("int8 is left out: it needs --calibration")
    frames = inputs.frames(args.frames, graph.spec, args.count, samples="scenes")
    settings = SearchSettings(
        out=args.out, golden=_golden(args, graph), overwrite=args.overwrite, threads=args.threads
    )
    ranges = ranges or Ranges({}, "none", graph.sha256, ())
    found = search_precision(graph, target, ranges, frames=frames, settings=settings, progress=step)
    record = Path(args.candidates or str(args.out).rstrip("/") + CANDIDATES_ENDING)
    plain = {
        "format": CANDIDATES.version,
        "network": graph.spec.name,
        "target": target.name,
        "judged_on": {"source": args.frames, "frames": len(frames)},
        "written": str(args.out) if found else None,
        **found.to_dict(),
    }
    write_text(record, json.dumps(plain, indent=1, allow_nan=False) + "\n")
    outcome = ["no precision is within the limits; nothing was exported"]
    if found.taken and found.bundle:
        islands = _island_lines(found.bundle, found.taken.float_layers)
        outcome = [f"{args.out}: {target.name}, {found.taken.name}", *islands]
    recorded = f"{record}: every candidate, for `posec report --candidates`"
    answer(args, plain, "\n".join([table(found.rows()), *outcome, recorded]))
    return EXIT_OK if found else EXIT_FAILED


def _check_search(args: argparse.Namespace, *, needs_ranges: bool) -> None:
    """Raise PosecError where the options do not fit a precision search."""
    if args.keep_float:
        raise PosecError(
            "--precision auto chooses the layers that stay float; leave --keep-float out, or ask for int8"
        )
    if needs_ranges:
        raise PosecError(
            "--precision auto tries int8 first, which needs ranges: make them with "
            "`posec calibrate … -o calibration.json` and pass --calibration calibration.json"
        )


def _golden(args: argparse.Namespace, graph: Graph) -> list[np.ndarray] | None:
    """Return the user's golden pictures, BGR (H, W, 3) uint8; None for the shipped scenes."""
    if not args.golden:
        return None
    return list(inputs.frames(args.golden, graph.spec, _MOST_GOLDEN, samples="scenes"))


def _warn_of_no_people(bundle: Bundle) -> None:
    """Print how to get a verdict where the float network finds no people on the golden pictures."""
    if not any(len(people) for _, people in bundle.golden()):
        say(
            "no people on the golden pictures, so no board can be checked on them: "
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
