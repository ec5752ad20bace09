"""evaluate: the accuracy of a checkpoint or a bundle on labelled pictures."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import EXIT_OK
from .interface import inputs
from .interface.arguments import JSON, NO_REFINE, THREADS, THRESHOLD, Verb, argument
from .interface.terminal import answer, progress, say, table

if TYPE_CHECKING:
    from ..runtime.estimator import PoseEstimator

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
        THRESHOLD,
        NO_REFINE,
        THREADS,
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Print the rows of a protocol."""
    from ..evaluation.photos import read_photos
    from ..evaluation.run import evaluate, unpaired_joints
    from ..evaluation.scenes import read_scenes

    scenes = inputs.sample(args.scenes, "scenes.json")
    pictures = read_photos(*args.photos) if args.photos else read_scenes(scenes)
    estimator = _estimator(args)
    spec = estimator.spec
    if missing := unpaired_joints(pictures, spec.skeleton):
        say(f"not scored, because the skeleton of the network has no such joints: {', '.join(missing)}")
    rows = evaluate(
        estimator, pictures, spec.skeleton, progress=progress("pictures"), centre_joints=spec.centre_joints
    )
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_text(row.get(name)) for name in names] for row in rows]
    answer(args, rows, table([names, *cells]))
    return EXIT_OK


def _estimator(args: argparse.Namespace) -> PoseEstimator:
    """Return the estimator of a bundle or of a float network."""
    from ..ir.float_engine import float_estimator
    from ..runtime import load
    from ..runtime.decoding.bone_prior import REFINEMENT

    if (Path(args.network) / "bundle.json").is_file():
        return load(args.network, args.threads, refine=not args.no_refine, centre_threshold=args.threshold)
    graph = inputs.checkpoint(args.network)
    graph = replace(graph, spec=graph.spec.with_threshold(args.threshold))
    return float_estimator(graph, args.threads, None if args.no_refine else REFINEMENT)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
