"""The board's command: `python -m toolkit.runtime BUNDLE --source picamera2` prints JSON lines."""

from __future__ import annotations

import sys
from typing import Optional, Sequence

from .command.arguments import ARGUMENTS, SOURCES, Parser
from .command.refusals import exit_status


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Find people in a source, as `posec run --json` does. Returns the exit status."""
    return exit_status(lambda: _run(arguments))


def _run(arguments: Optional[Sequence[str]]) -> int:
    parser = Parser(
        prog="python -m toolkit.runtime",
        description="Find people with a bundle; one JSON line per picture.",
        epilog="example: python -m toolkit.runtime intel/ --source 0 -o found/",
    )
    parser.add_argument("bundle", help="a folder that `posec export` wrote")
    parser.add_argument("--source", required=True, nargs="+", help=f"{SOURCES}; several with --fuse")
    for flags, options in ARGUMENTS:
        parser.add_argument(*flags, **options)
    args = parser.parse_args(arguments)
    args.json = True
    from .command.run import run  # takes a second, in which ^C is no traceback

    return run(args, args.source)


if __name__ == "__main__":
    sys.exit(main())
