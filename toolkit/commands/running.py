"""run, explain, deploy: people in pictures, here and on a board."""

from __future__ import annotations

import argparse
import signal
import sys

from ..deploy.deploy import deploy as send
from ..runtime import load
from ..runtime.video.sources import open_source
from ..runtime.video.stream import watch
from . import EXIT_FAILED, EXIT_OK, inputs
from .terminal import answer, progress, say, step


def run(args: argparse.Namespace) -> int:
    """Find people in pictures, a video or a camera."""
    source = str(inputs.sample(args.source, "clip.mp4"))
    estimator = load(args.bundle, args.threads, args.focal_px, not args.no_refine, args.threshold)
    shown = progress("pictures")
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # a service that is stopped keeps what it recorded, as after ^C
    found = watch(estimator, source, args.out, sys.stdout if args.json else None, args.most, not args.no_overlay, not args.no_inset,
                  args.overwrite, lambda seen, people: shown(seen, args.most or 0), say)  # fmt: skip
    stages = ", ".join(f"{name} {ms:.2f} ms" for name, ms in found["median_ms"].items())
    say(f"{found['pictures']} pictures, people on {found['with_people']}; median {stages or 'of nothing'}")
    for path in found["written"]:
        say(f"wrote {path}")
    if not any((found["people"], args.out, args.json)) or (found["pictures"] == 1 and not found["people"]):
        say("nobody found; `posec explain` says what the network saw")
    return EXIT_OK


def explain(args: argparse.Namespace) -> int:
    """Say what the network saw in the first picture of the source."""
    source = str(inputs.sample(args.source, "clip.mp4"))
    print(
        load(args.bundle, args.threads, args.focal_px, centre_threshold=args.threshold).explain(
            next(open_source(source, say)).picture
        )
    )
    return EXIT_OK


def deploy(args: argparse.Namespace) -> int:
    """Bring a bundle to a board over SSH: copy, check there, switch, measure there, fetch the result; exit status 1 where not accepted."""
    done = send(args.bundle, args.host, args.port, args.out, args.folder, args.python, args.wheels, args.seconds, args.threads,
                args.clean_up, args.ssh, step)  # fmt: skip
    result = done.result
    plain = {"host": done.host, "folder": done.folder, "status": result.status, "verdict": result.verdict, "reason": result.reason,
             "result": str(done.path), "sent_bytes": done.sent_bytes, "machine": dict(done.machine)}  # fmt: skip
    latency = (result.bench or {}).get("latency") or {}
    timed = f", p50 {latency['total']['p50_ms']:.1f} ms from picture to people" if latency else ""
    where = (
        f"runs in {done.folder}"
        if done.folder
        else "removed again"
        if done
        else "not switched to; what ran there still does"
    )
    answer(
        args,
        plain,
        f"{done.host}: {result.verdict} ({result.reason}){timed}; {where}; {done.sent_bytes / 1e6:.1f} MB sent\nwrote {done.path}",
    )
    return EXIT_OK if done and result.status == "ran" else EXIT_FAILED
