"""calibrate: choose and check frames, then collect ranges with one observer or compare all of them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import PosecError
from . import EXIT_OK
from .interface import inputs
from .interface.arguments import CHECKPOINT, COUNT, JSON, SEED, Verb, argument
from .interface.outputs import FileOut
from .interface.terminal import answer, progress, say, table

if TYPE_CHECKING:
    from calibration import Finding, Frames
    from calibration.survey import FrameStats

    from ..ir.graph import Graph
    from ..ir.ranges import Ranges

VERB = Verb(
    "Check calibration frames and collect the value range of every tensor of the float network.",
    "posec calibrate reference --frames photos/ --count 256 -o calibration.json",
    [
        CHECKPOINT,
        argument(
            "--frames",
            required=True,
            help="a folder of pictures or of scenes from `posec train scenes`, a video, "
            "a .txt list of pictures, or 'samples'",
        ),
        COUNT,
        argument(
            "--choose",
            choices=("random", "coverage"),
            default="random",
            help="how --count frames are chosen: at random, or to cover numbers, sizes and positions of "
            "people, and lighting (default: random)",
        ),
        SEED,
        argument(
            "--observer",
            help="min-max, moving-average, percentile, entropy or mean-squared-error "
            "(default: min-max; with --compare the best)",
        ),
        argument(
            "--evaluation",
            metavar="FRAMES",
            help="pictures that accuracy will be measured on; calibration frames among them are an error",
        ),
        argument("--force", action="store_true", help="calibrate on frames that the checks reject"),
        argument("--no-lint", action="store_true", help="skip the checks of the frames"),
        argument(
            "--compare", action="store_true", help="show the drift of each observer with the int8 of --target"
        ),
        argument("--target", default="generic-cpu", help="for --compare: the board (default: generic-cpu)"),
        argument(
            "--judge",
            default="samples",
            metavar="FRAMES",
            help="for --compare: other pictures with people (default: samples, the shipped scenes)",
        ),
        argument(
            "-o", "--out", type=FileOut, help="file to write; an interrupted run resumes from OUT.unfinished"
        ),
        JSON,
    ],
)


class _ChosenFrames(NamedTuple):
    """Calibration frames, and their statistics if the choice needed them."""

    frames: Frames
    stats: list[FrameStats]


class _Collected(NamedTuple):
    """Ranges, and what --compare adds to the output as JSON and as text."""

    ranges: Ranges
    plain: dict[str, Any]
    text: str


def run(args: argparse.Namespace) -> int:
    """Check the frames, collect ranges, and write them."""
    from ..passes import prepare

    _check(args)
    graph = prepare(inputs.checkpoint(args.checkpoint))
    chosen = _choose(args, graph)
    findings = [] if args.no_lint else _lint(args, graph, chosen)
    if args.compare:
        collected = _compare(args, graph, chosen.frames)
    else:
        findings += _lint_halves(args, graph, chosen.frames)
        collected = _collect(args, graph, chosen.frames)
    ranges, text = collected.ranges, collected.text
    plain: dict[str, Any] = {"frames": len(chosen.frames), "findings": [asdict(each) for each in findings]}
    plain.update(collected.plain)
    if args.out:
        ranges.save(args.out)
        plain.update(written=str(args.out), observer=ranges.observer, tensors=len(ranges.tensors))
        counts = f"{len(ranges.tensors)} tensors over {len(ranges.frames_sha256)} frames"
        text = f"{text}\n{args.out}: ranges of {counts} ({ranges.observer})".lstrip()
    answer(args, plain, text)
    return EXIT_OK


def _check(args: argparse.Namespace) -> None:
    """Raise PosecError for a request that cannot be met, before any work."""
    import calibration
    import targets as boards
    from calibration.frames import generator

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
        raise PosecError(
            "choosing by coverage needs --count, the number of frames to keep; 64 to 256 are usual"
        )


def _check_writable(out: str) -> None:
    """Raise PosecError unless files can be written at `out` and beside it."""
    if out.endswith((os.sep, "/")):
        raise PosecError(f"'{out}' names a folder; name a file with -o, such as {out}calibration.json")
    for name in (out, _unfinished(out)):
        FileOut(name).check()


def _unfinished(out: str) -> str:
    return f"{out}.unfinished"


def _choose(args: argparse.Namespace, graph: Graph) -> _ChosenFrames:
    """Return the calibration frames."""
    import calibration
    from calibration.coverage import choose

    if args.choose == "random":
        frames = inputs.frames(args.frames, graph.spec, args.count, seed=args.seed)
        return _ChosenFrames(frames, [])
    frames = inputs.frames(args.frames, graph.spec)
    stats = calibration.survey(graph, frames, progress("choosing frames"))
    kept = sorted(choose(stats, args.count, args.seed))
    return _ChosenFrames(frames.take(kept), [stats[index] for index in kept])


def _lint(args: argparse.Namespace, graph: Graph, chosen: _ChosenFrames) -> list[Finding]:
    """Print and return the problems of the frames. Raises PosecError where they stop the calibration."""
    import calibration

    evaluation = args.evaluation or (args.judge if args.compare else None)
    against = inputs.frames(evaluation, graph.spec, samples="scenes") if evaluation else None
    stats = chosen.stats or calibration.survey(graph, chosen.frames, progress("checking frames"))
    findings = calibration.lint_frames(graph, chosen.frames, stats, evaluation=against)
    _print(findings)
    stopping = [finding.check for finding in findings if finding.stops]
    if stopping and not args.force:
        raise PosecError(
            f"calibration frames rejected ({', '.join(stopping)}); "
            "fix the problems listed above or pass --force"
        )
    return findings


def _lint_halves(args: argparse.Namespace, graph: Graph, frames: Frames) -> list[Finding]:
    """Print and return the differences between halves of the frames; save the first half to resume from.

    A resumed calibration skips this: its halves are no longer separate. So does one of few frames.
    """
    import calibration
    from calibration.lint import ENOUGH_FRAMES

    unfinished = Path(_unfinished(args.out))
    if args.no_lint or len(frames) < ENOUGH_FRAMES or unfinished.exists():
        return []
    half = len(frames) // 2
    first = calibration.sweep(graph, frames.take(range(half)), progress("first half"), resume=unfinished)
    first.save(unfinished)
    second = calibration.sweep(graph, frames.take(range(half, len(frames))), progress("second half"))
    findings = calibration.lint_halves(graph, (first, second))
    _print(findings)
    return findings


def _collect(args: argparse.Namespace, graph: Graph, frames: Frames) -> _Collected:
    """Return the ranges of one observer."""
    import calibration

    swept = calibration.sweep(graph, frames, progress("calibrating"), resume=Path(_unfinished(args.out)))
    return _Collected(swept.ranges(args.observer or "min-max"), {}, "")


def _compare(args: argparse.Namespace, graph: Graph, frames: Frames) -> _Collected:
    """Return the ranges of the best observer, or of --observer, and the drift of each."""
    import calibration
    import targets as boards

    board = boards.load(args.target)
    judged = inputs.frames(args.judge, graph.spec, samples="scenes")
    found = calibration.compare(graph, frames, judged, target=board, progress=progress)
    drifts = {name: drift.to_dict() for name, drift in found.drifts.items()}
    text = f"{table(found.rows())}\nbest: {found.best}"
    return _Collected(found.ranges[args.observer or found.best], {"best": found.best, "drifts": drifts}, text)


def _print(findings: Sequence[Finding]) -> None:
    for finding in findings:
        say(str(finding))
