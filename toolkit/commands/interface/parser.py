"""The parser of `posec`: one command per verb, in the order of the help."""

from __future__ import annotations

import argparse
from importlib import import_module
from types import ModuleType

from ... import __version__
from ...runtime.command.arguments import Parser

# A verb's file imports heavy modules only when the verb runs.
VERBS = (
    "targets",
    "plan",
    "calibrate",
    "export",
    "tensorrt-check",
    "verify",
    "blame",
    "run",
    "locate",
    "adapt",
    "explain",
    "schema",
    "convert",
    "doctor",
    "deploy",
    "service",
    "keygen",
    "sign",
    "evaluate",
    "bench",
    "report",
    "choose",
    "sweep",
    "measure-operators",
    "search",
    "train",
    "demo",
)


def verb_module(verb: str) -> ModuleType:
    """Return the module of a verb: `VERB`, and `run`, which takes the parsed arguments."""
    return import_module(f"..{verb.replace('-', '_')}", __package__)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = Parser(
        prog="posec",
        description="The pose compiler: a trained network in, a verified bundle for one board out.",
        epilog="Start with: posec demo",
    )
    top.add_argument("--version", action="version", version=f"posec {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in VERBS:
        verb = verb_module(name).VERB
        command = commands.add_parser(
            name, help=verb.help, description=verb.help, epilog=f"example: {verb.example}"
        )
        for flags, options in verb.arguments:
            command.add_argument(*flags, **options)
    return top
