"""The end of a `python -m` program: a refusal is one sentence on standard error and status 2."""

from __future__ import annotations

from typing import Callable, Optional

from ..console import flush_output, open_standard_streams, say
from ..errors import PosecError

EXIT_REFUSED = 2


def exit_status(run: Callable[[], Optional[int]]) -> int:
    """Run a program and return its exit status, 0 where it returns None."""
    open_standard_streams()
    try:
        status = run()
        flush_output()
        return status or 0
    except PosecError as error:
        say(str(error))
    except OSError as error:
        say(f"{error.strerror or error}{': ' + str(error.filename) if error.filename else ''}")
    except KeyboardInterrupt:
        say("interrupted")
    return EXIT_REFUSED
