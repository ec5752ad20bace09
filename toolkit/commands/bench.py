"""bench: latency, drift and accuracy of bundles, side by side."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import PosecError
from ..runtime.console import printable
from . import EXIT_FAILED, EXIT_OK
from .interface import inputs
from .interface.arguments import JSON, THREADS, Verb, argument
from .interface.drift_limits import MAX_RATIO, max_ratio, name_frames, warn_of_data
from .interface.outputs import FolderOut
from .interface.terminal import answer, progress, say, table

if TYPE_CHECKING:
    from calibration import Frames

    from ..device.result import Result
    from ..evaluation.photos import Photos
    from ..evaluation.scenes import Scenes
    from ..ir.graph import Graph
    from ..report.measure import DriftReference

_MOST_TIMED = 32  # pictures that latency is measured on, of --frames
_LARGEST_SIDE_PX = 8192  # of --size


def _size(text: str) -> tuple[int, int]:
    """Return (height, width) of a text such as "1280x720"."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise argparse.ArgumentTypeError(f"a size is WIDTHxHEIGHT, such as 1280x720; got '{text}'")
    if not all(1 <= int(side) <= _LARGEST_SIDE_PX for side in (width, height)):
        raise argparse.ArgumentTypeError(f"each side must be 1 to {_LARGEST_SIDE_PX} pixels; got '{text}'")
    return int(height), int(width)


VERB = Verb(
    "Measure bundles side by side: latency per stage, drift, accuracy on labelled scenes; exit status 1 if a "
    "bundle is not accepted.",
    "posec bench intel-float32/ intel-int8/ --frames photos/ -o results/",
    [
        argument("bundle", nargs="+", help="folders written by `posec export`"),
        argument("-o", "--out", type=FolderOut, help="folder for one result file per bundle"),
        argument(
            "--frames",
            metavar="FOLDER",
            help="pictures of your camera, for latency and drift (default: the golden pictures, which are "
            "rendered unless you exported with --golden)",
        ),
        argument("--count", type=int, help="for --frames: number of pictures to judge by (default: all)"),
        MAX_RATIO,
        argument(
            "--source",
            help="measure latency on these pictures instead: a picture, a folder, or 'samples'",
        ),
        argument(
            "--size",
            type=_size,
            default=(720, 1280),
            metavar="WIDTHxHEIGHT",
            help="size that the pictures are resized to beforehand (default: 1280x720)",
        ),
        argument("--seconds", type=float, default=10.0, help="time per bundle (default: 10)"),
        argument(
            "--sustained",
            type=float,
            default=0.0,
            metavar="SECONDS",
            help="then run each bundle continuously for this time, and measure energy where the board can; "
            "the report compares budgets with the end of this run (default: 0)",
        ),
        argument(
            "--again",
            metavar="RESULT",
            help="repeat the measurement of a result file and check that it holds",
        ),
        argument(
            "--checkpoint",
            help="also compare with this float network head by head, on --frames or the shipped scenes, and "
            "measure its accuracy (default with --frames: reference)",
        ),
        argument(
            "--scenes",
            default="samples",
            help="scenes.json of rendered scenes for accuracy (default: samples, the shipped scenes)",
        ),
        argument(
            "--photos",
            nargs=2,
            metavar=("JSON", "PICTURES"),
            help="also measure accuracy on photographs: COCO key points, and the folder or tar archive of "
            "their pictures",
        ),
        argument("--no-accuracy", action="store_true", help="measure latency and drift only"),
        THREADS,
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Measure bundles and print one row per bundle."""
    from ..device.timing.turns import BenchSettings
    from ..report.measure import measure_bundles

    if args.again:
        return _repeat(args)
    protocols = _labelled(args)
    compared = _compared(args)
    settings = BenchSettings(
        pictures=_timed(args, compared),
        size=args.size,
        seconds=args.seconds,
        threads=args.threads,
        sustained_seconds=args.sustained,
    )
    results = measure_bundles(
        args.bundle,
        out=args.out,
        protocols=protocols,
        reference=compared and _reference(args, compared),
        settings=settings,
        progress=progress("measuring, seconds"),
        report=say,
    )
    for result in results:
        warn_of_data(result.drift)
    written = [f"written to {args.out}"] if args.out else []
    text = "\n".join([table(_rows(args.bundle, results)), *_notes(args.bundle, results), *written])
    answer(args, [result.to_dict() for result in results], text)
    return EXIT_OK if all(result.verdict == "accepted" for result in results) else EXIT_FAILED


def _labelled(args: argparse.Namespace) -> list[Photos | Scenes]:
    """Return the labelled pictures that accuracy is measured on."""
    from ..evaluation.photos import read_photos
    from ..evaluation.scenes import read_scenes

    if args.no_accuracy:
        return []
    scenes = read_scenes(inputs.sample(args.scenes, "scenes.json"))
    return [scenes, *([read_photos(*args.photos)] if args.photos else [])]


class _Compared(NamedTuple):
    """The float network and the pictures to judge the drift on."""

    graph: Graph
    frames: Frames


def _compared(args: argparse.Namespace) -> _Compared | None:
    """Return the float network and the pictures to judge the drift on; None for the golden pictures."""
    if not (args.frames or args.checkpoint):
        if args.max_ratio is not None:
            raise PosecError("--max-ratio of bench needs --frames or --checkpoint")
        return None
    graph = inputs.checkpoint(args.checkpoint or "reference")
    return _Compared(graph, inputs.frames(args.frames or "samples", graph.spec, args.count, samples="scenes"))


def _reference(args: argparse.Namespace, compared: _Compared) -> DriftReference:
    from ..report.measure import DriftReference
    from ..verification.float_reference import FloatReference

    floating = FloatReference(*compared, args.threads)
    return DriftReference(floating, name_frames(args.frames or "samples"), max_ratio(args))


def _timed(args: argparse.Namespace, compared: _Compared | None) -> Sequence[Path] | Path:
    """Return the pictures that latency is measured on; empty for the golden pictures."""
    if args.source:
        return inputs.sample(args.source, "scenes")
    folder = inputs.sample(args.frames, "scenes") if args.frames else None
    if compared is None or folder is None or not folder.is_dir():
        return ()
    return [folder / name for name in getattr(compared.frames, "names", ())][:_MOST_TIMED]


def _rows(folders: Sequence[str], results: Sequence[Result]) -> list[list[str]]:
    """Return the table of latencies, its header first."""
    rows = [["bundle", "status", "verdict", "p50 ms", "p90 ms", "p99 ms", "inference ms"]]
    for index, result in enumerate(results):
        latency = result.bench["latency"] if result.bench and result.has_run else None
        times = ["-"] * 4
        if latency:
            total, inference = latency["total"], latency["inference"]
            times = [f"{total[name]:.2f}" for name in ("p50_ms", "p90_ms", "p99_ms")]
            times.append(f"{inference['p50_ms']:.2f}")
        rows.append([folders[index], result.status, result.verdict, *times])
    return rows


def _notes(folders: Sequence[str], results: Sequence[Result]) -> list[str]:
    """Return a line for each bundle that is not accepted, each noisy measurement, and each kind of int8."""
    notes = []
    for index, result in enumerate(results):
        if result.verdict != "accepted":
            notes.append(f"{folders[index]}: {printable(result.reason)}")
        if result.noise:
            notes.append(f"{folders[index]}: too noisy to trust: {result.noise}")
        kind = ((result.bench or {}).get("engine") or {}).get("integers")
        if kind:
            notes.append(f"{folders[index]}: integers are {kind}")
    return notes


def _repeat(args: argparse.Namespace) -> int:
    """Repeat the measurement of an earlier result, and compare."""
    from ..device.result import read_result
    from ..report.consistency import measure_again

    if len(args.bundle) != 1:
        raise PosecError(f"--again compares one bundle with one result; got {len(args.bundle)} bundles")
    found = measure_again(read_result(args.again), args.bundle[0], pictures=args.source, threads=args.threads)
    plain = {
        "consistent": bool(found),
        "contradictions": found.contradictions,
        "differences": found.differences,
    }
    answer(args, plain, str(found))
    return EXIT_OK if found else EXIT_FAILED
