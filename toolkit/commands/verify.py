"""verify: the drift of a bundle from its float network."""

from __future__ import annotations

import argparse
from dataclasses import replace

from . import EXIT_FAILED, EXIT_OK
from .interface import inputs
from .interface.arguments import BUNDLE, COUNT, JSON, THREADS, Verb, argument
from .interface.drift_limits import MAX_RATIO, limits_of, name_frames, warn_of_data
from .interface.terminal import answer, progress, say

VERB = Verb(
    "Compare the people that a bundle finds with those of the float network; exit status 1 if the drift is "
    "over its limits.",
    "posec verify intel/ --checkpoint reference --frames photos/",
    [
        BUNDLE,
        argument(
            "--frames",
            help="pictures of your camera: a folder, a video, or 'samples' (default: the bundle's golden "
            "pictures, which are rendered unless you exported with --golden)",
        ),
        argument(
            "--checkpoint",
            default="reference",
            help="for --frames: the checkpoint that the bundle was exported from (default: reference)",
        ),
        MAX_RATIO,
        COUNT,
        THREADS,
        argument("--key", help="first check the bundle's signature by this public key; refuse it otherwise"),
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Print PASS or FAIL, and the drift."""
    from ..device.golden_check import verify_golden
    from ..runtime.bundle import read_bundle
    from ..verification.verify import verify

    if args.key is not None:
        read_bundle(args.bundle, args.key)
        say(f"{args.bundle}: the signature is valid")
    allowed = limits_of(args, args.bundle)
    if args.frames:
        graph = inputs.checkpoint(args.checkpoint)
        frames = inputs.frames(args.frames, graph.spec, args.count, samples="scenes")
        report = progress("comparing")
        drift = verify(args.bundle, graph, frames, threads=args.threads, progress=report, allowed=allowed)
        drift = replace(drift, data=name_frames(args.frames))
    else:
        drift = verify_golden(args.bundle, args.threads, allowed)
    warn_of_data(drift.to_dict())
    answer(args, drift.to_dict(), f"{args.bundle}: {'PASS' if drift else 'FAIL'}: {drift}")
    return EXIT_OK if drift else EXIT_FAILED
