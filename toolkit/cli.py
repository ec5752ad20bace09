"""The command `posec`: its verbs, their parser, and its errors. Each verb is a function in `commands/`."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import time
from collections.abc import Sequence
from importlib import import_module

from . import __version__
from .commands import EXIT_OK, EXIT_REFUSED
from .commands.arguments import COMMANDS, STAGES
from .commands.outputs import Out, check_outputs
from .commands.terminal import put, say
from .errors import PosecError
from .runtime.command.arguments import Parser
from .runtime.console import flush_output, forget, open_standard_streams

# Verb: the module of `commands/` with its function; imported when it is used, because some take seconds.
HOMES = {
    "targets": "boards",
    "plan": "boards",
    "tensorrt-check": "boards",
    "calibrate": "calibrating",
    "export": "exporting",
    "blame": "exporting",
    "verify": "judging",
    "evaluate": "judging",
    "bench": "judging",
    "report": "judging",
    "run": "running",
    "explain": "running",
    "deploy": "running",
}
OURS = ("toolkit", "targets", "calibration")


def train(args: argparse.Namespace) -> int:
    """Run one stage of the reference network's training."""
    check_outputs(outputs_of(args.rest))
    try:
        stage = import_module(STAGES[args.stage], __package__)
    except ModuleNotFoundError as error:
        raise PosecError(f"stage '{args.stage}' needs {error.name}: pip install 'posec[train]'") from error
    stage.main(args.rest)
    return EXIT_OK


def outputs_of(words: Sequence[str]) -> list[Out]:
    """Return the outputs that a stage's options name: each stage has a parser of its own, and all write to --out."""
    named = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    named.add_argument("-o", "--out", type=Out)
    try:
        found = named.parse_known_args(list(words))[0].out
    except (argparse.ArgumentError, SystemExit):
        return []  # the stage's own parser refuses it
    return [] if found is None else [found]


def demo(args: argparse.Namespace) -> int:
    """Run the whole pipeline on the shipped network and pictures, by the commands that a user types."""
    from .commands.demo import claimed, demo_lines, gather, next_steps, note_files

    started = time.monotonic()
    with claimed(args.out):
        for line in demo_lines(args.out):
            say(f"\n[{time.monotonic() - started:3.0f} s] $ posec {shlex.join(line)}")
            status = main(line)
            note_files(args.out)
            if status == EXIT_REFUSED:
                return status
        gather(args.out)
        note_files(args.out)
    say(f"\ndone in {time.monotonic() - started:.0f} s")
    put(next_steps(args.out))
    return EXIT_OK


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = Parser(
        prog="posec",
        description="The pose compiler: a trained network in, a verified bundle for one board out.",
        epilog="Start with: posec demo",
    )
    top.add_argument("--version", action="version", version=f"posec {__version__}")
    verbs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (text, example, arguments) in COMMANDS.items():
        verb = verbs.add_parser(name, help=text, description=text, epilog=f"example: {example}")
        for flags, options in arguments:
            verb.add_argument(*flags, **options)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 limits exceeded, 2 request refused, 3 a camera of `run` went away."""
    open_standard_streams()
    args = _parsed(arguments)
    try:
        check_outputs(vars(args).values())
        status = _run(args)
        flush_output()
        return status
    except PosecError as error:
        say(f"posec {args.command}: {error}")
    except BrokenPipeError:
        forget(sys.stdout)  # the reader of the result has gone, as `head` does
        return EXIT_OK
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in OURS:
            raise
        needed = (
            "Python 3.11 or later" if error.name == "tomllib" else f"{error.name}: pip install 'posec[host]'"
        )
        say(f"posec {args.command}: this command needs {needed}")
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        say(f"posec {args.command}: {error.strerror or error}{where}")
    except KeyboardInterrupt:
        say(f"posec {args.command}: interrupted")
    return EXIT_REFUSED


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    try:
        return parser().parse_args(arguments)
    except SystemExit:
        with contextlib.suppress(OSError):
            flush_output()  # the help
        raise


def _run(args: argparse.Namespace) -> int:
    """Run the function of a command."""
    if args.command in HOMES:
        module = import_module(f".commands.{HOMES[args.command]}", __package__)
        return int(getattr(module, args.command.replace("-", "_"))(args))
    return {"train": train, "demo": demo}[args.command](args)
