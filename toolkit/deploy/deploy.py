"""Put a bundle on a board over SSH: copy it beside, prove it there, switch to it, measure it, bring the result home.

    posec/                     on the board, in the home folder
      pi5 -> .deployed/pi5/3f…  what runs; a link, so that switching is one step
        bundle/  toolkit/  python
      .deployed/pi5/3f…/
      packages-91…/            what carried wheels hold, shared by all bundles

Until the new copy has found the golden people again, nothing of the old one is touched.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..device.__main__ import board_files
from ..device.result import ENDING, Result, read_result, save_result
from ..errors import PosecError
from ..runtime.bundle import Bundle, read_bundle
from ..runtime.bundle_files import DESCRIPTION
from .ssh import Connection, connect

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,99}")
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)*")
_HOME = Path(__file__).parents[1]
_INTERPRETER = """#!/bin/sh
# Python with what was deployed here: `python app.py`, `python -m toolkit.runtime bundle --source 0`.
here=$(dirname "$(readlink -f "$0")")
PYTHONPATH="$here{packages}${{PYTHONPATH:+:$PYTHONPATH}}" exec {python} "$@"
"""
# A path is relative to the home folder, where scripts start, and is used from others.
_FIND = """mkdir -p "$1"
found=$(command -v {python}) || {{ echo "no {python} on this board" >&2; exit 1; }}
case "$found" in /*) echo "$found" ;; *) echo "$PWD/$found" ;; esac"""
_SWITCH = """set -e; cd "$1"
if [ -e "$2" ] && [ ! -L "$2" ]; then echo "'$1/$2' is there and was not deployed by posec; move it away" >&2; exit 1; fi
ln -s ".deployed/$2/$3" ".$2.$3"; mv -T ".$2.$3" "$2"
for old in ".deployed/$2"/*; do [ "$old" = ".deployed/$2/$3" ] || rm -rf -- "$old"; done"""
_UNPACK = """set -e; cd "$1"
for wheel in "$2.part"/*.whl; do {python} -m zipfile -e "$wheel" "$2.part"; rm -- "$wheel"; done
mv -T "$2.part" "$2" """
_CLEAN = 'cd "$1" && rm -rf -- "$2" ".deployed/$2" $3 && rmdir --ignore-fail-on-non-empty .deployed && cd && rmdir --ignore-fail-on-non-empty "$1"'


@dataclass(frozen=True)
class Deployed:
    """What became of it; True where the board found the golden people within the allowance.

    Attributes:
        host, folder: where the bundle runs; `folder` is empty where it was not accepted, or was cleaned up.
        result: of the check and the bench on the board.
        path: of the result's file here.
        sent_bytes: how much was copied.
        machine: what the board says of itself.
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
    bundle: Bundle | str | Path, host: str, port: int | None = None, out: str | Path = "results", folder: str = "posec", python: str = "python3",
    wheels: str | Path | None = None, seconds: float = 10.0, threads: int | None = None, clean_up: bool = False, ssh: str = "ssh",
    progress: Callable[[str], None] = lambda step: None,
) -> Deployed:  # fmt: skip
    """Bring a bundle to a board, check it on its golden pictures there, switch to it, and measure it.

    Args:
        bundle: or its folder, whose name it gets on the board.
        host, port, ssh: see `connect`.
        out: folder here for the result, `<target>-<precision>.result.json`.
        folder: on the board, relative to the home folder.
        python: on the board, a command or a path from the home folder; it needs numpy, cv2 and the engine's library, unless `wheels` brings them.
        wheels: folder of wheels for the board, which then needs no network; unpacked there once.
        seconds, threads: of the bench.
        clean_up: remove everything again, once measured.
        progress: is told of every step.

    A bundle whose people are not found again is not switched to. Raises PosecError where the connection breaks or the board
    refuses; what ran there before still does.
    """
    bundle = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
    name, identity = bundle.folder.resolve().name, uuid.uuid4().hex[:12]
    if not _NAME.fullmatch(name) or not _FOLDER.fullmatch(folder):
        raise PosecError(
            f"bundle '{name}' and folder '{folder}' get those names on the board: letters, digits, . _ - and no leading dot"
        )
    if not re.fullmatch(r"[A-Za-z0-9_./~\-]+", python):
        raise PosecError(f"python must be a command or path on the board, got '{python}'")
    path = Path(out) / f"{bundle.target}-{bundle.precision}{ENDING}"
    place = f"{folder}/.deployed/{name}/{identity}"
    with connect(host, port, ssh) as board:
        progress("connect")
        python = shlex.quote(board.run(_FIND.format(python=python), folder).strip().rpartition("\n")[2])
        packages, sent = _carry(board, wheels, folder, python, progress)
        try:
            progress("copy")
            sent += board.send(_payload(bundle, packages, python), place)
            progress("check")
            checked = _answer(board.run('cd "$1" && ./python -m toolkit.device check bundle', place))
            if checked["drift"] is None or not checked["drift"]["within"]:
                result = Result(checked["bundle"], None, checked["drift"], (), (), checked["unjudged"])
                save_result(result, path)
                board.run('rm -rf -- "$1"', place)
                return Deployed(host, "", result, path, sent, checked["machine"])
            progress("switch")
            board.run(_SWITCH, folder, name, identity)
        except PosecError as error:
            raise PosecError(f"{error}; what '{folder}/{name}' was on the board it still is") from error
        progress("bench")
        options = [str(seconds), *([] if threads is None else [str(threads)])]
        board.run(
            'cd "$1/$2" && shift 2 && ./python -m toolkit.device bench bundle result.json "$@"',
            folder,
            name,
            *options,
        )
        result = _fetch(board, f"{folder}/{name}/result.json", path)
        if clean_up:
            progress("clean up")
            board.run(_CLEAN, folder, name, packages)
    return Deployed(host, "" if clean_up else f"{folder}/{name}", result, path, sent, checked["machine"])


def _carry(
    board: Connection, wheels: str | Path | None, folder: str, python: str, progress: Callable[[str], None]
) -> tuple[str, int]:
    """Bring wheels to the board unless they are there; return the folder of what they hold, relative to `folder`, and bytes sent."""
    if wheels is None:
        return "", 0
    files = sorted(Path(wheels).glob("*.whl"))
    if not files:
        raise PosecError(
            f"no wheels in '{wheels}'; fill it by: pip download --only-binary=:all: --platform manylinux2014_aarch64 --platform manylinux_2_27_aarch64 -d {wheels} …"
        )
    packages = "packages-" + hashlib.sha256("\n".join(file.name for file in files).encode()).hexdigest()[:12]
    if board.run('[ -d "$1/$2" ] && echo there || rm -rf -- "$1/$2.part"', folder, packages).strip():
        return packages, 0
    progress("wheels")
    sent = board.send({file.name: file for file in files}, f"{folder}/{packages}.part")
    board.run(_UNPACK.format(python=python), folder, packages)
    return packages, sent


def _payload(bundle: Bundle, packages: str, python: str) -> dict[str, Path | bytes]:
    """Return all that one deployment holds, by name: the bundle, the runtime, and a Python that finds both."""
    shim = _INTERPRETER.format(python=python, packages=f":$here/../../../{packages}" if packages else "")
    files: dict[str, Path | bytes] = {"python": shim.encode()}
    files.update({f"bundle/{name}": bundle.folder / name for name in [DESCRIPTION, *bundle.files]})
    files.update({f"toolkit/{name.as_posix()}": _HOME / name for name in board_files()})
    return files


def _answer(printed: str) -> dict[str, Any]:
    """Return the JSON of the last line."""
    try:
        answer = json.loads(printed.strip().rpartition("\n")[2])
        return {name: answer[name] for name in ("bundle", "drift", "unjudged", "machine")}
    except (ValueError, KeyError, TypeError) as error:
        raise PosecError(
            f"the board answered with something else than a check: {printed.strip()[-200:]!r}"
        ) from error


def _fetch(board: Connection, where: str, path: Path) -> Result:
    """Bring a result home; it is looked at before it replaces one that is there."""
    beside = path.with_name(f".{path.name}.fetched")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        beside.write_text(board.run('cat -- "$1"', where))
        result = read_result(beside)
    finally:
        beside.unlink(missing_ok=True)
    save_result(result, path)
    return result
