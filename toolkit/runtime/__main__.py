"""What runs on a board: `python -m toolkit.runtime BUNDLE --source picamera2` prints one JSON line per picture."""

from __future__ import annotations

import sys
from typing import Optional, Sequence

from .command.arguments import ARGUMENTS, SOURCES, Parser
from .command.run import run
from .console import flush_output, open_standard_streams, say
from .errors import PoseError

EXIT_REFUSED = 2


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Find people in a source: `posec run`, with JSON lines. Returns its exit status, 2 after a sentence for a refused request."""
    open_standard_streams()
    parser = Parser(
        prog="python -m toolkit.runtime", description="Find people with a bundle; one JSON line per picture."
    )
    parser.add_argument("bundle", help="a folder that `posec export` wrote")
    parser.add_argument("--source", required=True, help=SOURCES)
    for flags, options in ARGUMENTS:
        parser.add_argument(*flags, **options)
    args = parser.parse_args(arguments)
    args.json = True
    try:
        status = run(args, args.source)
        flush_output()
        return status
    except PoseError as error:
        say(str(error))
    except OSError as error:
        say(f"{error.strerror or error}{': ' + str(error.filename) if error.filename else ''}")
    except KeyboardInterrupt:
        say("interrupted before the first picture")
    return EXIT_REFUSED


if __name__ == "__main__":
    sys.exit(main())
