"""The reference page of the command line, written from its parser.

Write it with `python -m toolkit.commands.interface.reference_page docs/cli.md`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ...runtime.command.arguments import Parser
from ...runtime.command.refusals import exit_status
from ...runtime.files.plain_files import write_plain
from .parser import parser

HEADING = """# Command line

For all users: every command of `posec` and its options. Generated from the parser; do not edit.

Exit status 0 is success, 1 a missed limit, 2 a refused request. `run` also ends with 3 if a camera went away,
4 if an output failed, and 5 if the engine failed.
"""


def reference_page(parser: argparse.ArgumentParser) -> str:
    """Return the page of a parser with one level of commands, as Markdown."""
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    summaries = [f"- [`{name}`](#posec-{name}): {text}" for name, text in _summaries(commands)]
    sections = [_section(command) for command in commands.choices.values()]
    return "\n".join([HEADING, *summaries, "", "\n\n".join(sections)]) + "\n"


def _summaries(commands: argparse._SubParsersAction) -> Iterator[tuple[str, str]]:
    for choice in commands._choices_actions:
        yield choice.dest, choice.help or ""


def _section(command: argparse.ArgumentParser) -> str:
    actions = [action for action in command._actions if not isinstance(action, argparse._HelpAction)]
    rows = [
        (_usage(action), _help(command, action)) for action in actions if action.help != argparse.SUPPRESS
    ]
    table = ["| argument | meaning |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in rows)]
    example = (command.epilog or "").removeprefix("example: ")
    lines = [f"## {command.prog}", "", command.description or "", "", *(table if rows else ["No arguments."])]
    return "\n".join([*lines, "", "```sh", example, "```"] if example else lines)


def _usage(action: argparse.Action) -> str:
    """Return the flags of an option, or the name of a positional argument, with its values."""
    values = "" if action.nargs == 0 or not action.option_strings else f" {_values(action)}"
    names = action.option_strings or [str(action.metavar or action.dest)]
    return ", ".join(f"`{name}{values if name == names[-1] else ''}`" for name in names)


def _values(action: argparse.Action) -> str:
    one = (
        "{" + ",".join(map(str, action.choices)) + "}"
        if action.choices
        else action.metavar or action.dest.upper()
    )
    if isinstance(one, tuple):
        return " ".join(one)
    if isinstance(action.nargs, int):
        return " ".join([one] * action.nargs)
    return {"+": f"{one} [{one} ...]", "*": f"[{one} ...]", "?": f"[{one}]"}.get(action.nargs or "", one)


def _help(command: argparse.ArgumentParser, action: argparse.Action) -> str:
    text = (action.help or "") % {**vars(action), "prog": command.prog} if action.help else ""
    stages = f" One of {_listed(action.choices)}." if action.choices and not action.option_strings else ""
    required = " (required)" if action.option_strings and action.required else ""
    return f"{text}{stages}{required}".replace("|", "\\|")


def _listed(names: Iterable[object]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the page to the file of the one argument."""
    words = Parser(prog="python -m toolkit.commands.interface.reference_page", description=__doc__)
    words.add_argument("page", help="file to write, such as docs/cli.md")
    write_plain(Path(words.parse_args(arguments).page), reference_page(parser()))


if __name__ == "__main__":
    sys.exit(exit_status(main))
