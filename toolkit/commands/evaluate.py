"""evaluate: the accuracy of a checkpoint or a bundle on labelled pictures."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import PosecError
from ..runtime.command.arguments import OVER_TIME, SMOOTHING
from . import EXIT_OK
from .interface import inputs
from .interface.arguments import JSON, NO_REFINE, THREADS, THRESHOLD, Verb, argument
from .interface.outputs import FileOut
from .interface.terminal import answer, progress, say, table

if TYPE_CHECKING:
    import numpy as np

    from ..runtime.estimator import PoseEstimator
    from ..runtime.tracking.people_over_time import PeopleFilter

VERB = Verb(
    "Measure the accuracy of a checkpoint or a bundle on labelled pictures.",
    "posec evaluate reference --scenes samples",
    [
        argument("network", help="'reference', or the folder of a checkpoint or of a bundle"),
        argument(
            "--scenes",
            default="samples",
            help="scenes.json of rendered scenes with exact 3D poses (default: samples, the shipped scenes)",
        ),
        argument(
            "--photos",
            nargs=2,
            metavar=("JSON", "PICTURES"),
            help="instead: COCO key points, and the folder or tar archive of their pictures",
        ),
        argument(
            "--clips",
            metavar="FOLDER",
            help="instead: rendered clips; compares the filters over time (see posec train clips)",
        ),
        argument(
            "-o",
            "--out",
            type=FileOut,
            help="also write the figures of --clips for posec report; end the name with .over-time.json",
        ),
        *OVER_TIME,
        THRESHOLD,
        NO_REFINE,
        THREADS,
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Print the rows of a protocol."""
    if args.out and not args.clips:
        raise PosecError("--out needs --clips; --json prints the rows of pictures")
    rows = _evaluate_clips(args) if args.clips else _evaluate_pictures(args)
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_text(row.get(name)) for name in names] for row in rows]
    answer(args, rows, table([names, *cells]))
    return EXIT_OK


def _evaluate_pictures(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of scenes or photographs."""
    from ..evaluation.photos import read_photos
    from ..evaluation.run import evaluate, unpaired_joints
    from ..evaluation.scenes import read_scenes

    scenes = inputs.sample(args.scenes, "scenes.json")
    pictures = read_photos(*args.photos) if args.photos else read_scenes(scenes)
    estimator, _ = _opened(args)
    spec = estimator.spec
    if missing := unpaired_joints(pictures, spec.skeleton):
        say(f"not scored, because the skeleton of the network has no such joints: {', '.join(missing)}")
    return evaluate(
        estimator, pictures, spec.skeleton, progress=progress("pictures"), centre_joints=spec.centre_joints
    )


def _evaluate_clips(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the rows of clips: per frame, and by the filters that the options leave."""
    from ..evaluation.clips.clip_evaluation import PER_FRAME, detect, evaluate_clips
    from ..evaluation.clips.clip_file import read_labelled_clips
    from ..runtime.files.plain_files import write_plain
    from ..runtime.temporal.stage import TemporalStage
    from ..runtime.tracking.choice import OverTimeSettings, smoother

    OverTimeSettings(args.smooth, not args.no_temporal, args.lookahead)  # refuses what does not go together
    clips = read_labelled_clips(args.clips)
    estimator, temporal = _opened(args)
    spec = estimator.spec
    names = [name for name in SMOOTHING if name != "none" and args.smooth in (None, name)]
    filters: dict[str, Callable[[], PeopleFilter | None]] = {PER_FRAME: lambda: None}
    filters |= {name: partial(smoother, name, spec) for name in names}
    if temporal and not args.no_temporal and args.smooth is None:
        filters["temporal"] = lambda: TemporalStage(temporal, spec, args.lookahead)
    elif args.lookahead:
        raise PosecError("--lookahead needs a network with a temporal stage; leave it out")
    found = evaluate_clips(detect(estimator, clips, progress("pictures")), clips, spec=spec, filters=filters)
    if args.out:
        plain = {"format": 1, "network": spec.name, "rows": found.rows, "course": found.course}
        write_plain(args.out, json.dumps(plain, separators=(",", ":")) + "\n")
    return found.rows


def _opened(args: argparse.Namespace) -> tuple[PoseEstimator, Mapping[str, np.ndarray]]:
    """Return the estimator of a bundle or of a float network, and the arrays of its temporal stage."""
    from ..ir.float_engine import float_estimator
    from ..runtime import load
    from ..runtime.decoding.bone_prior import REFINEMENT
    from ..runtime.temporal.bundled import read_stage

    if (Path(args.network) / "bundle.json").is_file():
        options = {"refine": not args.no_refine, "centre_threshold": args.threshold}
        estimator = load(args.network, args.threads, **options)
        return estimator, read_stage(estimator.bundle) if estimator.bundle is not None else {}
    graph = inputs.checkpoint(args.network)
    graph = replace(graph, spec=graph.spec.with_threshold(args.threshold))
    return float_estimator(graph, args.threads, None if args.no_refine else REFINEMENT), graph.temporal


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
