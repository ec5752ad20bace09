"""run, explain, deploy: people in pictures, here and on a board."""

from __future__ import annotations

import argparse

from ..runtime import load
from ..runtime.command.run import run as run_source
from ..runtime.decoding.camera_file import choose_camera
from ..runtime.video.sources import open_source
from . import EXIT_FAILED, EXIT_OK, inputs
from .terminal import answer, put, say, step


def run(args: argparse.Namespace) -> int:
    """Find people in pictures, a video or a camera; the same code as `python -m toolkit.runtime`."""
    return run_source(args, inputs.source(args.source))


def explain(args: argparse.Namespace) -> int:
    """Show the network's scores on the first picture of the source."""
    camera = choose_camera(args.focal_px, args.fov, args.intrinsics)
    estimator = load(args.bundle, args.threads, centre_threshold=args.threshold, camera=camera)
    shots = open_source(inputs.source(args.source), say)
    put(estimator.explain(next(shots).picture))
    shots.close()
    return EXIT_OK


def deploy(args: argparse.Namespace) -> int:
    """Bring a bundle to a board over SSH: copy it, check and measure it there, fetch the result, switch to it; exit status 1 where not accepted."""
    from ..deploy.deploy import deploy as send
    from ..deploy.slot import BoardSettings

    settings = BoardSettings(
        args.port, args.ssh, args.folder, args.python, args.wheels, args.wait, keep=not args.clean_up
    )
    done = send(
        args.bundle,
        args.host,
        settings=settings,
        out=args.out,
        seconds=args.seconds,
        threads=args.threads,
        progress=step,
    )
    result = done.result
    plain = {
        "host": done.host,
        "folder": done.folder,
        "status": result.status,
        "verdict": result.verdict,
        "reason": result.reason,
        "result": str(done.path),
        "sent_bytes": done.sent_bytes,
        "machine": dict(done.machine),
    }
    latency = (result.bench or {}).get("latency") or {}
    timed = f", p50 {latency['total']['p50_ms']:.1f} ms from picture to people" if latency else ""
    measured_only = args.clean_up and done and result.status == "ran"
    where = (
        f"runs in {done.folder}"
        if done.folder
        else "removed again"
        if measured_only
        else "removed again; what ran there still does"
    )
    answer(
        args,
        plain,
        f"{done.host}: {result.verdict} ({result.reason}){timed}; {where}; {done.sent_bytes / 1e6:.1f} MB sent\nwrote {done.path}",
    )
    return EXIT_OK if done and result.status == "ran" else EXIT_FAILED
