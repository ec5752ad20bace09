"""service: a systemd unit that runs a bundle on a board, for as long as the board runs."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shlex
import sys
from pathlib import Path

from ..errors import PosecError
from ..runtime.command.arguments import ARGUMENTS, SOURCES, Parser
from ..runtime.console import write_out
from . import EXIT_OK
from .interface.arguments import Verb, argument
from .interface.outputs import FileOut
from .interface.terminal import say, write_text

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
DEFAULT_OPTIONS = "--no-overlay --rotate 1h --max-disk 2GB"

VERB = Verb(
    "Write a systemd unit that runs a bundle: watchdog, restarts, a separate user, few rights.",
    "posec service /opt/posec/pi5/bundle --source picamera2 -o posec.service",
    [
        argument("bundle", help="full path of the bundle on the board; `posec deploy` prints its folder"),
        argument("--source", required=True, help=SOURCES),
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
            help="of the run, as one word; '-o' is the service's state folder unless given "
            f"(default: '{DEFAULT_OPTIONS}')",
        ),
    ],
)


def run(args: argparse.Namespace) -> int:
    """Print the unit, or write it."""
    from ..service.systemd_unit import Service, unit_text

    if not _NAME.fullmatch(args.name):
        raise PosecError(f"--name takes small letters, digits, - and _, got '{args.name}'")
    options = _words(args.options)
    parsed = _parse(options)
    if parsed.out is None:
        options += ["-o", f"/var/lib/{args.name}/recording"]
    bundle = os.path.normpath(args.bundle) if args.bundle.startswith("/") else args.bundle
    python = args.python or _python(bundle)
    text = unit_text(Service(args.name, python, bundle, args.source, options, parsed.retry))
    if args.out is None:
        write_out(sys.stdout, text)  # unlike `put`, with the logins that the service needs
    else:
        write_text(args.out, text)
        say(f"wrote {args.out}")
    return EXIT_OK


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise PosecError(f"--options has an open quote: {text}") from error


def _parse(words: list[str]) -> argparse.Namespace:
    """Return the parsed options of the run. Raises PosecError for options that it does not have."""
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


def _python(bundle: str) -> str:
    """Return the interpreter for a bundle: that of its deployment, or the one that runs here."""
    path = Path(bundle)
    return str(path.with_name("python")) if path.name == "bundle" else sys.executable
