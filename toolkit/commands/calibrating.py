"""calibrate: choose and lint frames, collect ranges, or compare all observers."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import calibration
import targets as boards
from calibration import Finding, Frames
from calibration.coverage import choose
from calibration.frames import generator
from calibration.lint import ENOUGH_FRAMES
from calibration.survey import FrameStats

from ..errors import PosecError
from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..passes import prepare
from . import EXIT_OK, inputs
from .outputs import FileOut
from .terminal import answer, progress, say, table


def calibrate(args: argparse.Namespace) -> int:
    """Lint the calibration frames and collect the ranges of every tensor of the float graph."""
    _check(args)
    board = boards.load(args.target) if args.compare else None
    graph = prepare(inputs.checkpoint(args.checkpoint))
    frames, scenes = _frames(args, graph)
    findings = [] if args.no_lint else _look_over(args, graph, frames, scenes)
    plain: dict[str, Any] = {"frames": len(frames), "findings": [asdict(finding) for finding in findings]}
    if board is None:
        unfinished = Path(f"{args.out}.unfinished")
        # An interrupted calibration is only finished: its halves are no longer separate.
        if not (args.no_lint or len(frames) < ENOUGH_FRAMES or unfinished.exists()):
            plain["findings"] += [asdict(finding) for finding in _halves(graph, frames, unfinished)]
        swept = calibration.sweep(graph, frames, progress("calibrating"), resume=unfinished)
        ranges, text = swept.ranges(args.observer or "min-max"), ""
    else:
        judged = inputs.frames(args.judge, graph.spec, samples="scenes")
        found = calibration.compare(graph, frames, judged, target=board, progress=progress)
        ranges, text = found.ranges[args.observer or found.best], f"{table(found.rows())}\nbest: {found.best}"
        plain |= {
            "best": found.best,
            "drifts": {name: drift.to_dict() for name, drift in found.drifts.items()},
        }
    if args.out:
        ranges.save(args.out)
        plain |= {"written": str(args.out), "observer": ranges.observer, "tensors": len(ranges.tensors)}
        text = f"{text}\n{_written(args.out, ranges)}".lstrip()
    answer(args, plain, text)
    return EXIT_OK


def _check(args: argparse.Namespace) -> None:
    """Raise PosecError for a request that cannot be met, before any work."""
    if not args.out and not args.compare:
        raise PosecError("no file to write the ranges to; give one with -o")
    if args.out:
        _check_writable(args.out)
    if args.observer and args.observer not in calibration.OBSERVERS:
        raise PosecError(f"no observer '{args.observer}'; known: {', '.join(calibration.OBSERVERS)}")
    if args.compare:
        boards.load(args.target).check_precision("int8")
    generator(args.seed)
    if args.choose == "coverage" and args.count is None:
        raise PosecError("choosing by coverage needs --count: how many frames to keep; 64 to 256 are usual")


def _check_writable(out: str) -> None:
    """Raise PosecError unless files can be written at `out` and beside it."""
    if out.endswith((os.sep, "/")):
        raise PosecError(f"'{out}' names a folder; name a file with -o, such as {out}calibration.json")
    for name in (out, f"{out}.unfinished"):
        FileOut(name).check()


def _written(path: str, ranges: Ranges) -> str:
    tensors, frames = len(ranges.tensors), len(ranges.frames_sha256)
    return f"{path}: ranges of {tensors} tensors over {frames} frames ({ranges.observer})"


def _frames(args: argparse.Namespace, graph: Graph) -> tuple[Frames, list[FrameStats]]:
    """Return the calibration frames, and their statistics where the choice needed them."""
    if args.choose == "random":
        return inputs.frames(args.frames, graph.spec, args.count, args.seed), []
    frames = inputs.frames(args.frames, graph.spec)
    scenes = calibration.survey(graph, frames, progress("choosing"))
    kept = sorted(choose(scenes, args.count, args.seed))
    return frames.take(kept), [scenes[index] for index in kept]


def _look_over(
    args: argparse.Namespace, graph: Graph, frames: Frames, scenes: Sequence[FrameStats]
) -> list[Finding]:
    """Print and return the problems of the frames. Raises PosecError where they stop the calibration."""
    evaluation = args.evaluation or (args.judge if args.compare else None)
    against = inputs.frames(evaluation, graph.spec, samples="scenes") if evaluation else None
    findings = calibration.lint_frames(
        graph,
        frames,
        scenes or calibration.survey(graph, frames, progress("looking over")),
        evaluation=against,
    )
    _tell(findings)
    stopping = [finding.check for finding in findings if finding.stops]
    if stopping and not args.force:
        raise PosecError(
            f"calibration frames rejected ({', '.join(stopping)}); "
            "fix the problems listed above or pass --force"
        )
    return findings


def _halves(graph: Graph, frames: Frames, unfinished: Path) -> list[Finding]:
    """Print and return the differences between halves of the frames; save the first half to resume from."""
    half = len(frames) // 2
    first = calibration.sweep(graph, frames.take(range(half)), progress("one half"), resume=unfinished)
    first.save(unfinished)
    second = calibration.sweep(graph, frames.take(range(half, len(frames))), progress("the other half"))
    findings = calibration.lint_halves(graph, (first, second))
    _tell(findings)
    return findings


def _tell(findings: Sequence[Finding]) -> None:
    for finding in findings:
        say(str(finding))
