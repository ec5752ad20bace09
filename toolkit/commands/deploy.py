"""deploy: a bundle on a board, over SSH."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from . import EXIT_FAILED, EXIT_OK
from .interface.arguments import BUNDLE, JSON, THREADS, Verb, argument
from .interface.outputs import FolderOut
from .interface.terminal import answer, step

if TYPE_CHECKING:
    from ..deploy.deploy import Deployed

VERB = Verb(
    "Deploy a bundle to a board over SSH: copy it, check and measure it there, fetch the result, switch to "
    "it; exit status 1 if it is not accepted.",
    "posec deploy pi5/ pi@raspberrypi.local --python posec-env/bin/python",
    [
        BUNDLE,
        argument("host", help="user@host, or a host of your SSH configuration"),
        argument("--port", type=int, help="SSH port (default: as configured for SSH)"),
        argument(
            "-o",
            "--out",
            type=FolderOut,
            default="results",
            help="local folder for the result (default: results)",
        ),
        argument(
            "--folder", default="posec", help="folder on the board, below the home folder (default: posec)"
        ),
        argument(
            "--python",
            default="python3",
            help="Python on the board; needs numpy, cv2 and the engine's library, unless --wheels has them "
            "(default: python3)",
        ),
        argument("--wheels", help="local folder of wheels, for a board without a network"),
        argument("--seconds", type=float, default=10.0, help="time of the bench on the board (default: 10)"),
        THREADS,
        argument(
            "--wait",
            type=float,
            default=600.0,
            metavar="SECONDS",
            help="longest wait for another deployment to the same folder (default: 600)",
        ),
        argument(
            "--clean-up",
            action="store_true",
            help="measure only: remove what was copied, and leave the running bundle in place",
        ),
        argument("--ssh", default="ssh", help="SSH command, with options (default: ssh)"),
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Deploy and print the verdict."""
    from ..deploy.deploy import deploy
    from ..deploy.slot import BoardSettings

    settings = BoardSettings(
        port=args.port,
        ssh=args.ssh,
        folder=args.folder,
        python=args.python,
        wheels=args.wheels,
        wait_s=args.wait,
        keep=not args.clean_up,
    )
    done = deploy(
        args.bundle,
        args.host,
        settings=settings,
        out=args.out,
        seconds=args.seconds,
        threads=args.threads,
        progress=step,
    )
    plain = {
        "host": done.host,
        "folder": done.folder,
        "status": done.result.status,
        "verdict": done.result.verdict,
        "reason": done.result.reason,
        "result": str(done.path),
        "sent_bytes": done.sent_bytes,
        "machine": dict(done.machine),
    }
    answer(args, plain, _text(done, is_kept=settings.keep))
    return EXIT_OK if done and done.result.has_run else EXIT_FAILED


def _text(done: Deployed, *, is_kept: bool) -> str:
    """Return the outcome as text."""
    result = done.result
    latency = (result.bench or {}).get("latency")
    p50 = f", p50 {latency['total']['p50_ms']:.1f} ms from picture to people" if latency else ""
    if done.folder:
        where = f"runs in {done.folder}"
    elif done and result.has_run and not is_kept:
        where = "removed again"
    else:
        where = "removed again; what ran before still runs"
    sent = f"{done.sent_bytes / 1e6:.1f} MB sent"
    return f"{done.host}: {result.verdict} ({result.reason}){p50}; {where}; {sent}\nwrote {done.path}"
