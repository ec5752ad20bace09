"""locate: the poses of synchronized cameras, from the people that they see."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from . import EXIT_OK
from .interface import inputs
from .interface.arguments import FILE_OUT, JSON, THREADS, Verb, argument
from .interface.terminal import answer, progress, say, table

VERB = Verb(
    "Find where two or more synchronized cameras are, from the people that they see; no calibration.",
    "posec locate intel/ left.mp4 right.mp4 -o poses.json",
    [
        argument("network", help="'reference', or the folder of a checkpoint or of a bundle"),
        argument("cameras", nargs="+", metavar="VIDEO", help="a recording of each camera at the same time"),
        argument(
            "--focal-px",
            type=float,
            nargs="+",
            help="focal length of each camera in pixels of its pictures, or one for all "
            "(default: as the specification states)",
        ),
        FILE_OUT,
        THREADS,
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Write the poses and print how sure they are."""
    from ..adaptation.relative_pose import relative_pose
    from ..adaptation.sightings import sight
    from ..runtime.views.camera_poses import FIRST, write_poses

    focals = inputs.focal_lengths(args.focal_px, len(args.cameras))
    estimator, _ = inputs.estimator(args.network, args.threads)
    sightings = []
    for name, focal in zip(args.cameras, focals, strict=True):
        sightings.append(sight(estimator, inputs.source(name), focal, progress(Path(name).name)))
    found = [relative_pose(sightings[0], other) for other in sightings[1:]]
    first = FIRST._replace(focal_px=sightings[0].camera.mean_focal_px)
    rows = [_row(name, each) for name, each in zip(args.cameras[1:], found, strict=True)]
    names = {"sources": [Path(name).name for name in args.cameras]}
    write_poses(args.out, [first, *(each.pose for each in found)], names)
    answer(args, rows, table([list(rows[0]), *([str(value) for value in row.values()] for row in rows)]))
    say(f"wrote {args.out}; next: posec run BUNDLE --source 0 1 --fuse {args.out}")
    return EXIT_OK


def _row(name: str, found: Any) -> dict[str, Any]:
    pose = found.pose
    angle = np.degrees(np.arccos(np.clip((np.trace(pose.rotation) - 1) / 2, -1, 1)))
    return {
        "camera": Path(name).name,
        "away_mm": round(float(np.linalg.norm(pose.position_mm))),
        "turned_degrees": round(float(angle), 1),
        "offset_s": round(pose.offset_s, 3),
        "instants": found.instants,
        "share": round(found.share, 3),
        "spread_degrees": round(found.spread_degrees, 1),
        "epipolar_px": round(found.epipolar_px, 2),
        "moved_degrees": round(found.moved_degrees, 1),
    }
