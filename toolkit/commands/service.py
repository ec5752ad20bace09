"""service: a systemd unit that runs a bundle on a board, for as long as the board runs."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from pathlib import Path

from ..errors import PosecError
from ..runtime.command.arguments import SOURCES
from ..runtime.console import write_out
from . import EXIT_OK
from .interface.arguments import Verb, argument
from .interface.outputs import FileOut
from .interface.terminal import say, write_text

# Any other name could be that of a user or a unit of the board.
_NAME = re.compile(r"posec(-[a-z0-9_-]{1,24})?")
DEFAULT_OPTIONS = "--no-overlay --rotate 1h --max-disk 2GB"

VERB = Verb(
    "Write a systemd unit that runs a bundle: watchdog, restarts, a separate user, few rights.",
    "posec service /opt/posec/pi5/bundle --source picamera2 -o posec.service",
    [
        argument("bundle", help="full path of the bundle on the board; `posec deploy` prints its folder"),
        argument("--source", required=True, nargs="+", help=f"{SOURCES}; several with --fuse"),
        argument("-o", "--out", type=FileOut, help="file to write (default: standard output)"),
        argument("--name", default="posec", help="of the unit, its user and its folders (default: posec)"),
        argument(
            "--python",
            help="full path of the board's Python (default: `python` beside a deployed bundle, else the one "
            "that runs here)",
        ),
        argument(
            "--options",
            default=DEFAULT_OPTIONS,
            help="of the run, as one word: --options='--rotate 1h --fsync'; '-o' is the service's folder "
            "unless given "
            f"(default: '{DEFAULT_OPTIONS}')",
        ),
    ],
)


def run(args: argparse.Namespace) -> int:
    """Print the unit, or write it."""
    from ..service.run_options import check_source, parse_options
    from ..service.systemd_unit import Service, check_replaced, unit_text

    if not _NAME.fullmatch(args.name):
        raise PosecError(
            f"--name is posec, or posec- and small letters or digits, such as posec-door; got '{args.name}'"
        )
    bundle = os.path.normpath(args.bundle) if args.bundle.startswith("/") else args.bundle
    options = _words(args.options)
    parsed = parse_options(options, args.name, bundle)
    if parsed.out is None:
        options += ["-o", f"/var/lib/{args.name}/recording"]
    service = Service(args.name, args.python or _python(bundle), bundle, args.source, options, parsed.retry)
    text = unit_text(service)
    for source in args.source:
        check_source(source)
    if bool(parsed.fuse) != (len(args.source) > 1):
        raise PosecError("several sources and --fuse go together; give both, or neither")
    if args.out is None:
        write_out(sys.stdout, text)  # unlike `put`, with the logins that the service needs
    else:
        check_replaced(args.out, service)
        write_text(args.out, text)
        say(f"wrote {args.out}")
    return EXIT_OK


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise PosecError(f"--options has an open quote: {text}") from error


def _python(bundle: str) -> str:
    """Return the interpreter for a bundle: that of its deployment, or the one that runs here."""
    path = Path(bundle)
    return str(path.with_name("python")) if path.name == "bundle" else sys.executable
