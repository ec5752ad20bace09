"""The command `posec`: its verbs, their parser, and what becomes of errors. Each verb is a function in `commands/`."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Sequence
from importlib import import_module

from . import __version__
from .commands import EXIT_OK, EXIT_REFUSED
from .commands.arguments import COMMANDS, STAGES
from .commands.terminal import say
from .errors import PosecError
from .runtime.errors import PoseError

# Verb: the module of `commands/` that has its function; loaded when it is asked for, as some take seconds.
HOMES = {"targets": "boards", "plan": "boards", "tensorrt-check": "boards", "calibrate": "calibrating", "export": "exporting", "blame": "exporting",
         "verify": "judging", "evaluate": "judging", "bench": "judging", "report": "judging",
         "run": "running", "explain": "running", "deploy": "running"}  # fmt: skip


def train(args: argparse.Namespace) -> int:
    """Run one stage of the reference network's training."""
    try:
        stage = import_module(STAGES[args.stage], __package__)
    except ModuleNotFoundError as error:
        raise PosecError(f"stage '{args.stage}' needs {error.name}: pip install 'posec[train]'") from error
    stage.main(args.rest)
    return EXIT_OK


def demo(args: argparse.Namespace) -> int:
    """Go the whole way with what posec ships, by the commands that you would give."""
    from .commands.demo import clear, demo_lines, gather, next_steps

    started = time.monotonic()
    clear(args.out)
    for line in demo_lines(args.out):
        say(f"\n[{time.monotonic() - started:3.0f} s] $ posec {shlex.join(line)}")
        status = main(line)
        if status == EXIT_REFUSED:
            return status
    gather(args.out)
    say(f"\ndone in {time.monotonic() - started:.0f} s")
    print(next_steps(args.out))
    return EXIT_OK


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(prog="posec", description="The pose compiler: a trained network in, a verified bundle for one board out.",
                                  epilog="Start with: posec demo")  # fmt: skip
    top.add_argument("--version", action="version", version=f"posec {__version__}")
    verbs = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (text, example, arguments) in COMMANDS.items():
        verb = verbs.add_parser(name, help=text, description=text, epilog=f"example: {example}")
        for flags, options in arguments:
            verb.add_argument(*flags, **options)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 a missed allowance, 2 a request that cannot be met."""
    args = parser().parse_args(arguments)
    try:
        if args.command in HOMES:
            module = import_module(f".commands.{HOMES[args.command]}", __package__)
            return int(getattr(module, args.command.replace("-", "_"))(args))
        return {"train": train, "demo": demo}[args.command](args)
    except (PosecError, PoseError) as error:
        say(f"posec {args.command}: {error}")
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        say(f"posec {args.command}: {error.strerror or error}{where}; nothing half written is left")
    except KeyboardInterrupt:
        say(f"posec {args.command}: interrupted")
    return EXIT_REFUSED
