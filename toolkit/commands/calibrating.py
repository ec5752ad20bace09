"""calibrate: frames chosen, looked over, swept; ranges of one observer, or all observers compared."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import calibration
import targets as boards
from calibration import Finding, Frames
from calibration.coverage import choose
from calibration.lint import ENOUGH_FRAMES
from calibration.survey import Scene

from ..errors import PosecError
from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..passes import prepare
from . import EXIT_OK, inputs
from .terminal import answer, progress, say, table


def calibrate(args: argparse.Namespace) -> int:
    """Collect the ranges of every tensor of the float graph; first look the frames over, and say what is wrong with them."""
    _check(args)
    board = boards.load(args.target) if args.compare else None
    graph = prepare(inputs.checkpoint(args.checkpoint))
    frames, scenes = _frames(args, graph)
    findings = [] if args.no_lint else _look_over(args, graph, frames, scenes)
    plain: dict[str, Any] = {"frames": len(frames), "findings": [asdict(finding) for finding in findings]}
    if board is None:
        unfinished = Path(f"{args.out}.unfinished")
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        # What was interrupted is only finished: its halves are not told apart any more.
        if not (args.no_lint or len(frames) < ENOUGH_FRAMES or unfinished.exists()):
            plain["findings"] += [asdict(finding) for finding in _halves(graph, frames, unfinished)]
        swept = calibration.sweep(graph, frames, progress("calibrating"), unfinished)
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
    """Refuse what can be refused before any work."""
    if not args.out and not args.compare:
        raise PosecError("no file to write the ranges to; give one with -o")
    if args.observer and args.observer not in calibration.OBSERVERS:
        raise PosecError(f"no observer '{args.observer}'; known: {', '.join(calibration.OBSERVERS)}")
    if args.compare:
        boards.load(args.target).check_precision("int8")
    if args.choose == "coverage" and args.count is None:
        raise PosecError("choosing by coverage needs --count: how many frames to keep; 64 to 256 are usual")


def _written(path: str, ranges: Ranges) -> str:
    return f"{path}: ranges of {len(ranges.tensors)} tensors over {len(ranges.frames_sha256)} frames ({ranges.observer})"


def _frames(args: argparse.Namespace, graph: Graph) -> tuple[Frames, list[Scene]]:
    """Return the frames to calibrate on, and what is on them where that had to be looked at."""
    if args.choose == "random":
        return inputs.frames(args.frames, graph.spec, args.count, args.seed), []
    frames = inputs.frames(args.frames, graph.spec)
    scenes = calibration.survey(graph, frames, progress("choosing"))
    kept = sorted(choose(scenes, args.count, args.seed))
    return frames.take(kept), [scenes[index] for index in kept]


def _look_over(
    args: argparse.Namespace, graph: Graph, frames: Frames, scenes: Sequence[Scene]
) -> list[Finding]:
    """Return what is wrong with the frames, after saying it. Raises PosecError where that stops the calibration."""
    evaluation = args.evaluation or (args.judge if args.compare else None)
    against = inputs.frames(evaluation, graph.spec, samples="scenes") if evaluation else None
    findings = calibration.lint_frames(
        graph, frames, scenes or calibration.survey(graph, frames, progress("looking over")), against
    )
    _tell(findings)
    stopping = [finding.check for finding in findings if finding.stops]
    if stopping and not args.force:
        raise PosecError(
            f"these frames will not do ({', '.join(stopping)}): do what is said above, or say --force to calibrate on them"
        )
    return findings


def _halves(graph: Graph, frames: Frames, unfinished: Path) -> list[Finding]:
    """Return whether two halves of the frames give different ranges, after saying so; leave the first one's sweep to go on from."""
    half = len(frames) // 2
    first = calibration.sweep(graph, frames.take(range(half)), progress("one half"), unfinished)
    first.save(unfinished)
    second = calibration.sweep(graph, frames.take(range(half, len(frames))), progress("the other half"))
    findings = calibration.lint_halves(graph, (first, second))
    _tell(findings)
    return findings


def _tell(findings: Sequence[Finding]) -> None:
    for finding in findings:
        say(str(finding))
