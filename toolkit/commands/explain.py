"""explain: the network's scores on one picture."""

from __future__ import annotations

import argparse

from . import EXIT_OK
from .interface import inputs
from .interface.arguments import BUNDLE, CAMERA, THREADS, THRESHOLD, Verb, argument
from .interface.terminal import put, say

WAIT_S = 10.0  # for the first picture of a camera or a pipe
VERB = Verb(
    "Show the network's scores on the first picture of the source.",
    "posec explain intel/ --source picture.jpg",
    [
        BUNDLE,
        argument("--source", required=True, help="a picture, or any source of `posec run`"),
        *CAMERA,
        THRESHOLD,
        THREADS,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Print the scores."""
    from ..runtime import load
    from ..runtime.decoding.camera_file import choose_camera
    from ..runtime.video.sources import open_source

    camera = choose_camera(args.focal_px, args.fov, args.intrinsics)
    estimator = load(args.bundle, args.threads, centre_threshold=args.threshold, camera=camera)
    captured = open_source(inputs.source(args.source), say, retry_s=WAIT_S)
    put(estimator.explain(next(captured).picture))
    captured.close()
    return EXIT_OK
