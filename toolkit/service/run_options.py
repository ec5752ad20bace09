"""The options of a run that systemd starts: bad ones are refused here, not by every start on the board."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
from collections.abc import Sequence

from ..errors import PosecError
from ..runtime.command.arguments import ARGUMENTS, Parser
from ..runtime.command.run import run_settings
from ..runtime.decoding.camera_file import choose_camera
from ..runtime.outputs.udp import parse_udp
from ..runtime.outputs.unix import check_length
from ..runtime.video.sources import named_camera
from ..runtime.web.address import parse_address

# The unit has a /tmp of its own, and no right to serve on the ports of the system.
PRIVATE = ("/tmp", "/var/tmp")
FIRST_PORT = 1024
LONGEST_RETRY_S = 86_400.0


def parse_options(words: Sequence[str], name: str, bundle: str) -> argparse.Namespace:
    """Return the parsed options of a run in the service `name`.

    Raises PosecError for options that the run does not have, would refuse, or cannot have in a service.
    """
    args = _parse(words)
    settings = run_settings(args)
    if settings.stream.retry_s > LONGEST_RETRY_S:
        raise PosecError(f"--retry of a service may be {LONGEST_RETRY_S:g} s, got {args.retry:g}")
    if args.fov is not None or args.focal_px is not None:
        choose_camera(args.focal_px, args.fov, args.intrinsics)
    if args.show:
        raise PosecError("--show needs a desktop, which a service has not; use --web")
    if args.most is not None:
        raise PosecError("a service runs for as long as its board; leave out --most")
    if settings.recording.rotation is None:
        raise PosecError(
            "a service continues its recording after a restart with --rotate alone; add --rotate 1h"
        )
    _check_addresses(args)
    _check_paths(args, name, bundle)
    return args


def check_source(source: str) -> None:
    """Raise PosecError unless a source is a camera, or a full path."""
    if named_camera(source) is None:
        check_path(source, "--source, unless it is a camera,")


def check_path(path: str, label: str) -> None:
    """Raise PosecError for a path that a service cannot see."""
    if not path.startswith("/"):
        raise PosecError(f"{label} needs a full path for systemd, got '{path}'")
    if any(_is_below(path, folder) for folder in PRIVATE):
        raise PosecError(f"{label} lies in '{path}', and a service has a /tmp of its own; move it elsewhere")


def _parse(words: Sequence[str]) -> argparse.Namespace:
    parser = Parser(prog="--options", add_help=False)
    for flags, options in ARGUMENTS:
        parser.add_argument(*flags, **options)
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            return parser.parse_args(words)
    except SystemExit as error:
        reason = messages.getvalue().strip().rpartition("error: ")[2]
        raise PosecError(f"--options are those of `posec run`: {reason}") from error


def _check_addresses(args: argparse.Namespace) -> None:
    if args.web is not None and parse_address(args.web).port < FIRST_PORT:
        raise PosecError(f"--web of a service needs a port from {FIRST_PORT} on, got '{args.web}'")
    if args.udp is not None:
        parse_udp(args.udp)
    if args.unix is not None:
        check_length(args.unix)


def _check_paths(args: argparse.Namespace, name: str, bundle: str) -> None:
    own = (f"/var/lib/{name}", f"/run/{name}")
    for label, path in (("-o", args.out), ("--unix", args.unix)):
        if path is not None and not any(_is_below(path, folder) for folder in own):
            raise PosecError(
                f"{label} must lie in {own[0]} or {own[1]}, which the service owns, got '{path}'"
            )
    for label, path in (
        ("--intrinsics", args.intrinsics),
        ("--require-signature", args.require_signature),
        ("--fuse", args.fuse),
    ):
        if path is not None:
            check_path(path, label)
    if args.require_signature is not None and _is_below(args.require_signature, bundle):
        raise PosecError("the key lies in the bundle, where its maker could replace it; keep it elsewhere")


def _is_below(path: str, folder: str) -> bool:
    return os.path.normpath(path).startswith(f"{folder.rstrip('/')}/")
