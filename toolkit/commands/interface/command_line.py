"""Run a verb of `posec` and print its errors. Each verb is a file in `commands/`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence

from ...errors import PosecError
from ...runtime.console import flush_output, forget, open_standard_streams
from .. import EXIT_OK, EXIT_REFUSED
from .outputs import check_outputs
from .parser import parser, verb_module
from .terminal import say

_PACKAGES = ("toolkit", "targets", "calibration")
# The host needs newer ones of these modules than a board may have.
_NEW_IN_PYTHON_311 = ("tomllib", "typing")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0 done, 1 a limit exceeded, 2 a request refused. `run` also ends with 3 if a camera
        went away, 4 if its output cannot be written, and 5 if its engine fails.
    """
    open_standard_streams()
    name = "posec"
    try:
        args = _parsed(arguments)
        name = f"posec {args.command}"
        check_outputs(vars(args).values())
        status = int(verb_module(args.command).run(args))
        flush_output()
        return status
    except BrokenPipeError:
        forget(sys.stdout)  # the reader of the result has gone, as `head` does
        return EXIT_OK
    except (PosecError, ImportError, OSError, KeyboardInterrupt) as error:
        if isinstance(error, ImportError) and not _is_missing(error):
            raise
        say(f"{name}: {_sentence(error)}")
    return EXIT_REFUSED


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    try:
        return parser().parse_args(arguments)
    except SystemExit:
        with contextlib.suppress(OSError):
            flush_output()  # the help
        raise


def _is_missing(error: ImportError) -> bool:
    """Return whether an import failed because a library or a newer Python is missing, not by a defect."""
    if error.name in _NEW_IN_PYTHON_311:
        return sys.version_info < (3, 11)
    return isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] not in _PACKAGES


def _sentence(error: BaseException) -> str:
    """Return an error as one sentence for the user."""
    if isinstance(error, PosecError):
        return str(error)
    if isinstance(error, ImportError):
        if error.name in _NEW_IN_PYTHON_311:
            return "this command needs Python 3.11 or later"
        return f"this command needs {error.name}: pip install 'posec[host]'"
    if isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{where}"
    return "interrupted"
