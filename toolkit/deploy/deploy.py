"""Put a bundle on a board over SSH: copy it beside, check and measure it there, fetch the result, and switch to it last.

    posec/                     on the board, in the home folder
      pi5 -> .deployed/pi5/3f…  what runs; a link, so that switching is one step
        bundle/  toolkit/  python
      .deployed/pi5/3f…/
      packages-91…/            unpacked wheels, shared by all bundles

One deployment at a time holds the lock of the folder. What ran there before stays until the new copy has found the golden people again
and has been measured; a deployment that fails leaves nothing behind.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import device
from ..device.result import Result, describe_bundle, parse_result, result_name, save_result
from ..device.result_schema import MACHINE
from ..device.schema import check_bounds
from ..errors import PosecError
from ..runtime.bundle import Bundle, read_bundle
from ..runtime.console import printable
from ..runtime.files.bundle_files import DESCRIPTION
from .slot import BoardSettings, take_slot, wheel_files
from .ssh import Connection, connect

HOME = Path(device.__file__).parents[1]  # the package
BOARD_FOLDERS = ("runtime", "device")
BOARD_FILES = ("__init__.py",)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")
_INTERPRETER = """#!/bin/sh
# Python with what was deployed here: `python app.py`, `python -m toolkit.runtime bundle --source 0`.
here=$(dirname "$(readlink -f "$0")")
PYTHONPATH="$here{packages}${{PYTHONPATH:+:$PYTHONPATH}}" exec {python} "$@"
"""
_CHECK = 'cd "$1" && ./python -m toolkit.device check bundle'
_BENCH = 'cd "$1" && shift && ./python -m toolkit.device bench bundle result.json "$@"'


@dataclass(frozen=True)
class Deployed:
    """The outcome; True where the board found the golden people within the allowance.

    Attributes:
        host, folder: where the bundle runs; `folder` is empty where it was not accepted, did not run, or was not to be kept.
        result: of the check and the bench on the board.
        path: of the result's file here.
        sent_bytes: how much was copied.
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
    """Bring a bundle to a board, check it on its golden pictures there, measure it, and switch to it.

    Args:
        bundle: or its folder, whose name it gets on the board.
        host: see `connect`.
        out: local folder for the result, see `result_name`.
        settings: how the board is reached, and where the bundle lies on it.
        seconds, threads: of the bench.
        progress: called with the name of every step.

    A bundle whose people are not found again is not switched to. Raises PosecError where the connection breaks, the board
    refuses, or another deployment does not end in time; what ran there before still does.
    """
    bundle, settings = (
        bundle if isinstance(bundle, Bundle) else read_bundle(bundle),
        settings or BoardSettings(),
    )
    name = bundle.folder.resolve().name
    if not _NAME.fullmatch(name):
        raise PosecError(
            f"bundle '{printable(name)}' gets that name on the board: letters, digits, . _ - and no leading dot"
        )
    if not 0 <= seconds <= 86_400:
        raise PosecError(f"bench takes 0 to 86400 seconds, got {seconds:g}")
    if settings.wheels is not None:
        wheel_files(Path(settings.wheels))
    described = describe_bundle(bundle)
    path = Path(out) / result_name(
        described, host.rpartition("@")[2] + ("" if settings.port is None else f"-{settings.port}")
    )
    words = [str(seconds), *([] if threads is None else [str(threads)])]
    state = "is unchanged"
    with connect(host, settings.port, settings.ssh) as board:
        progress("connect")
        try:
            with take_slot(board, settings, name, progress=progress) as slot:
                sent = slot.carry(progress)
                progress("copy")
                sent += slot.fill(_payload(bundle, slot.packages, slot.python))
                result, machine = _judge(board, slot.place, described, bench_words=words, progress=progress)
                save_result(result, path)
                kept = settings.keep and result.verdict == "accepted" and result.status == "ran"
                if kept:
                    progress("switch")
                    state = "is this bundle or the one from before"
                    slot.switch()
                    state = "is this bundle"
        except PosecError as error:
            raise PosecError(f"{error}; '{settings.folder}/{name}' on the board {state}") from error
    return Deployed(host, f"{settings.folder}/{name}" if kept else "", result, path, sent, machine)


def _judge(
    board: Connection,
    place: str,
    described: Mapping[str, Any],
    *,
    bench_words: Sequence[str],
    progress: Callable[[str], None],
) -> tuple[Result, Mapping[str, Any]]:
    """Check the bundle on the board and, where that accepts it, measure it; return the result and facts of the machine."""
    progress("check")
    result, machine = _checked(board.run(_CHECK, place))
    _expect(result, described)
    if result.verdict == "accepted":
        progress("bench")
        board.run(_BENCH, place, *bench_words)
        result = parse_result(board.run('cat -- "$1"', f"{place}/result.json"), f"result of '{board.host}'")
        _expect(result, described)
    return result, machine


def board_files() -> list[Path]:
    """Return the files that a deployment copies beside the bundle, relative to the folder of the package."""
    inside = (
        path.relative_to(HOME) for folder in BOARD_FOLDERS for path in sorted((HOME / folder).rglob("*.py"))
    )
    return [*map(Path, BOARD_FILES), *inside]


def _payload(bundle: Bundle, packages: str, python: str) -> dict[str, Path | bytes]:
    """Return all that one deployment holds, by name: the bundle, the runtime, and a Python that finds both."""
    shim = _INTERPRETER.format(
        python=shlex.quote(python), packages=f":$here/../../../{packages}" if packages else ""
    )
    files: dict[str, Path | bytes] = {"python": shim.encode()}
    files.update({f"bundle/{name}": bundle.folder / name for name in [DESCRIPTION, *bundle.files]})
    files.update({f"toolkit/{name.as_posix()}": HOME / name for name in board_files()})
    return files


def _checked(printed: str) -> tuple[Result, Mapping[str, Any]]:
    """Return the board's check as a result that was not measured, and facts of the machine. Raises PosecError where it is none."""
    line = printed.strip().rpartition("\n")[2]
    try:
        answer = json.loads(line)
        check_bounds(answer)
        MACHINE.check(answer["machine"], "machine")
        checked = Result(answer["bundle"], None, answer["drift"], (), (), answer["unjudged"])
        return parse_result(json.dumps(checked.to_dict()), "the board's check"), answer["machine"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise PosecError(
            f"the board's answer is not a check ({error}): {printable(line[-200:])!r}"
        ) from error


def _expect(result: Result, described: Mapping[str, Any]) -> None:
    """Refuse a result of another bundle than the one that was sent. Raises PosecError."""
    if result.bundle["sha256"] != described["sha256"]:
        raise PosecError("the board judged another bundle than the one that was sent; deploy again")
