"""Deploy a bundle to a board over SSH: copy it, check and measure it there, and switch to it last.

    posec/                      on the board, in the home folder
      pi5 -> .deployed/pi5/3f…  the running bundle; a link, so that switching is one step
      .deployed/pi5/3f…/        bundle/  toolkit/  python
      packages-91…/             unpacked wheels, shared by all bundles

One deployment at a time holds the lock of the folder. The earlier bundle runs until the new one has passed
the check on its golden pictures and has been measured. A deployment that fails leaves nothing behind.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .. import device
from ..device.result import Result, describe_bundle, parse_result, result_name, save_result
from ..device.result_schema import MACHINE
from ..device.schema import check_bounds
from ..errors import PosecError
from ..runtime.bundle import Bundle, read_bundle
from ..runtime.console import printable
from ..runtime.files.bundle_files import DESCRIPTION
from ..runtime.files.signature import SIGNATURE
from .board_findings import examined_on_failure, report_findings
from .slot import BoardSettings, take_slot, wheel_files
from .ssh import Connection, connect

PACKAGE = Path(device.__file__).parents[1]
BOARD_FOLDERS = ("runtime", "device")
BOARD_FILES = ("__init__.py",)
BOARD_ENDINGS = (".py", ".html", ".css", ".js")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")
_INTERPRETER = """#!/bin/sh
# Python with the deployed packages: `python app.py`, `python -m toolkit.runtime bundle --source 0`.
here=$(dirname "$(readlink -f "$0")")
PYTHONPATH="$here{packages}${{PYTHONPATH:+:$PYTHONPATH}}" exec {python} "$@"
"""
_CHECK = 'cd "$1" && ./python -m toolkit.device check bundle'
_BENCH = 'cd "$1" && shift && ./python -m toolkit.device bench bundle result.json "$@"'


@dataclass(frozen=True)
class Deployed:
    """The outcome of a deployment; True if the drift on the board is within its limits.

    Attributes:
        host: as given.
        folder: where the bundle runs on the board; empty if it was rejected, failed, or was removed again.
        result: of the check and the bench on the board.
        path: the local file of the result.
        sent_bytes: number of bytes copied.
        machine: facts of the board, see `machine_facts`.
    """

    host: str
    folder: str
    result: Result
    path: Path
    sent_bytes: int
    machine: Mapping[str, Any]

    def __bool__(self) -> bool:
        return self.result.verdict == "accepted"


class _Checked(NamedTuple):
    """The result of the check or the bench on a board, and facts of the machine."""

    result: Result
    machine: Mapping[str, Any]


def deploy(
    bundle: Bundle | str | Path,
    host: str,
    *,
    settings: BoardSettings | None = None,
    out: str | Path = "results",
    seconds: float = 10.0,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda step: None,
) -> Deployed:
    """Copy a bundle to a board, check it on its golden pictures there, measure it, and switch to it.

    The board does not switch to a bundle that is over its drift limits, or does not run.

    Args:
        bundle: the bundle or its folder; the folder's name is its name on the board.
        host: see `connect`.
        settings: how to reach the board, and where the bundle lies on it.
        out: local folder for the result, see `result_name`.
        seconds: time of the bench on the board.
        threads: of the engine in the bench; None takes those of the bundle.
        progress: called with the name of every step.

    Raises PosecError where the connection breaks, the board refuses, or another deployment does not end.
    The earlier bundle still runs then.
    """
    bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    settings = settings or BoardSettings()
    name = _check_request(bundle, settings, seconds)
    described = describe_bundle(bundle)
    port = "" if settings.port is None else f"-{settings.port}"
    path = Path(out) / result_name(described, host.rpartition("@")[2] + port)
    bench_words = [str(seconds), *([] if threads is None else [str(threads)])]
    state = "is unchanged"
    with connect(host, settings.port, settings.ssh) as board:
        progress("connect")
        try:
            with take_slot(board, settings, name, progress=progress) as slot:
                sent = slot.send_wheels(progress)
                progress("copy")
                sent += slot.fill(_payload(bundle, slot.packages, slot.python))
                done = _measure(board, slot.place, described, bench_words=bench_words, progress=progress)
                save_result(done.result, path)
                has_passed = done.result.verdict == "accepted" and done.result.has_run
                is_kept = settings.keep and has_passed
                if is_kept:
                    progress("switch")
                    state = "is this bundle or the earlier one"
                    slot.switch()
                    state = "is this bundle"
        except PosecError as error:
            raise PosecError(f"{error}; '{settings.folder}/{name}' on the board {state}") from error
    folder = f"{settings.folder}/{name}" if is_kept else ""
    return Deployed(host, folder, done.result, path, sent, done.machine)


def _check_request(bundle: Bundle, settings: BoardSettings, seconds: float) -> str:
    """Return the name of the bundle on the board. Raises PosecError for a request that cannot be met."""
    name = bundle.folder.resolve().name
    if not _NAME.fullmatch(name):
        raise PosecError(
            f"bundle '{printable(name)}' has that name on the board; rename its folder to "
            "letters, digits, . _ - and no leading dot"
        )
    if not 0 <= seconds <= 86_400:
        raise PosecError(f"bench takes 0 to 86400 seconds, got {seconds:g}")
    if settings.wheels is not None:
        wheel_files(Path(settings.wheels))
    return name


def _measure(
    board: Connection,
    place: str,
    described: Mapping[str, Any],
    *,
    bench_words: Sequence[str],
    progress: Callable[[str], None],
) -> _Checked:
    """Check the bundle on the board, and measure it if its drift is within the limits."""
    progress("check")
    with examined_on_failure(board, place, progress):
        checked = _parse_check(board.run(_CHECK, place))
    _check_identity(checked.result, described)
    if checked.result.verdict != "accepted":
        report_findings(board, place, progress)
        return checked
    progress("bench")
    with examined_on_failure(board, place, progress):
        board.run(_BENCH, place, *bench_words)
    text = board.run('cat -- "$1"', f"{place}/result.json")
    measured = parse_result(text, f"result of '{board.host}'")
    _check_identity(measured, described)
    return checked._replace(result=measured)


def board_files() -> list[Path]:
    """Return the files of the package that a deployment copies, relative to its folder."""
    found = [
        path
        for folder in BOARD_FOLDERS
        for path in sorted((PACKAGE / folder).rglob("*"))
        if path.suffix in BOARD_ENDINGS
    ]
    return [*map(Path, BOARD_FILES), *(path.relative_to(PACKAGE) for path in found)]


def _payload(bundle: Bundle, packages: str, python: str) -> dict[str, Path | bytes]:
    """Return the files of a deployment by name: bundle, runtime, and a script that runs Python with both."""
    search_path = f":$here/../../../{packages}" if packages else ""
    script = _INTERPRETER.format(python=shlex.quote(python), packages=search_path)
    files: dict[str, Path | bytes] = {"python": script.encode()}
    names = [DESCRIPTION, *bundle.files, *([SIGNATURE] if (bundle.folder / SIGNATURE).is_file() else [])]
    files.update({f"bundle/{name}": bundle.folder / name for name in names})
    files.update({f"toolkit/{name.as_posix()}": PACKAGE / name for name in board_files()})
    return files


def _parse_check(printed: str) -> _Checked:
    """Return the board's check as a result without a bench. Raises PosecError where it is not one."""
    line = printed.strip().rpartition("\n")[2]
    try:
        answer = json.loads(line)
        check_bounds(answer)
        MACHINE.check(answer["machine"], "machine")
        checked = Result(answer["bundle"], None, answer["drift"], (), (), answer["unjudged"])
        result = parse_result(json.dumps(checked.to_dict()), "the board's check")
        return _Checked(result, answer["machine"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PosecError(
            f"the board's answer is not a check ({error}): {printable(line[-200:])!r}"
        ) from error


def _check_identity(result: Result, described: Mapping[str, Any]) -> None:
    """Raise PosecError for a result of another bundle than the one that was sent."""
    if result.bundle["sha256"] != described["sha256"]:
        raise PosecError("the board checked another bundle than the one that was sent; deploy again")
