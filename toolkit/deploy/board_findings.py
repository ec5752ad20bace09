"""Findings of the doctor on a board where a deployment fails."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator

from ..device.doctor.finding import OK, Finding
from ..errors import PosecError
from ..runtime.console import printable
from .ssh import Connection, ConnectionLostError

_EXAMINE = 'cd "$1" && { ./python -m toolkit.device doctor --json || true; }'
_LONGEST = 400
_MOST = 20


@contextlib.contextmanager
def examined_on_failure(board: Connection, place: str, progress: Callable[[str], None]) -> Iterator[None]:
    """Report the doctor's findings on the board if the block fails, and the board can still be reached."""
    try:
        yield
    except ConnectionLostError:
        raise
    except PosecError:
        report_findings(board, place, progress)
        raise


def report_findings(board: Connection, place: str, progress: Callable[[str], None]) -> None:
    """Call `progress` with each finding that has a next step. A doctor that cannot run is left out.

    Args:
        board: where the deployment lies.
        place: folder of the deployment, with the script that runs its Python.
        progress: called with a line for each finding.
    """
    with contextlib.suppress(PosecError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        for plain in json.loads(board.run(_EXAMINE, place).strip().splitlines()[-1])["findings"][:_MOST]:
            finding = Finding(*(str(plain[name]) for name in ("area", "status", "text", "next")))
            if finding.status != OK:
                progress(f"on the board: {printable(str(finding), keep='')[:_LONGEST]}")
