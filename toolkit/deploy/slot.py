"""A folder on a board for one deployment: locked, and removed again unless the board switches to it."""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from .. import device
from ..errors import PosecError
from ..runtime.console import printable
from .ssh import Connection, Conversation, size_of

LOCK_PROGRAM = Path(device.__file__).with_name("deployment.py")
_BLOCK_BYTES = 4096  # of a usual file system: every file takes whole blocks
_SPARE_BYTES = 1 << 20  # for the result, byte code and folders
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*(/[A-Za-z0-9_][A-Za-z0-9_.\-]*)*")
_PYTHON = re.compile(r"[A-Za-z0-9_./~][A-Za-z0-9_./~\-]*")
# A path is relative to the home folder, where scripts start, and must work from other folders.
_FIND = """python=$1
case "$python" in "~/"*) python=$HOME/${python#"~/"} ;; esac
found=$(command -v "$python") || { echo "no $1 on this board" >&2; exit 1; }
case "$found" in /*) echo "$found" ;; *) echo "$PWD/$found" ;; esac"""
_HOLD = 'program=$1 python=$2; shift 2; exec "$python" -c "$program" "$@"'
_UNPACK = """set -e; python=$3; cd "$1"
for wheel in "$2.part"/*.whl; do "$python" -m zipfile -e "$wheel" "$2.part"; rm -- "$wheel"; done
mv -T "$2.part" "$2" """


@dataclass(frozen=True)
class BoardSettings:
    """How to reach a board, and where the bundle lies on it.

    Attributes:
        port, ssh: see `connect`.
        folder: on the board, relative to the home folder.
        python: on the board, a command or a path from the home folder. It needs numpy, cv2 and the engine's
            library, unless `wheels` has them.
        wheels: local folder of wheels for a board without a network; unpacked there once.
        wait_s: longest wait in s for another deployment to the same folder.
        keep: False measures the bundle and removes it again; the running bundle stays.
    """

    port: int | None = None
    ssh: str = "ssh"
    folder: str = "posec"
    python: str = "python3"
    wheels: str | Path | None = None
    wait_s: float = 600.0
    keep: bool = True

    def __post_init__(self) -> None:
        if not _FOLDER.fullmatch(self.folder):
            raise PosecError(
                f"folder '{self.folder}' on the board may have letters, digits, . _ - / and no leading dot; "
                "give another name"
            )
        if not _PYTHON.fullmatch(self.python):
            raise PosecError(f"python must be a command or path on the board, got '{self.python}'")
        if not 0 <= self.wait_s < math.inf:
            raise PosecError(f"the wait must be 0 seconds or more, got {self.wait_s:g}")


class Slot:
    """A new folder on the board, held by a lock; made by `take_slot`.

    Attributes:
        place: the folder, relative to the home folder.
        python: full path of the board's Python.
        packages: folder of the unpacked wheels beside the deployments; empty without wheels.
    """

    def __init__(
        self, board: Connection, held: Conversation, settings: BoardSettings, *, place: str, python: str
    ) -> None:
        self.place, self.python, self.packages = place, python, ""
        self._board, self._held, self._settings = board, held, settings
        self._free_bytes = 0

    def wait(self, progress: Callable[[str], None]) -> None:
        """Wait for the lock. Raises PosecError where another deployment does not end in time."""
        answer = self._held.answer()
        if "waiting_for" in answer:
            progress(f"wait for another deployment {printable(str(answer['waiting_for']))[:100]}")
            answer = self._held.answer()
        free = answer.get("free_bytes")
        if not isinstance(free, int):
            raise PosecError(f"'{self._board.host}' did not return its free space; deploy again")
        self._free_bytes = free

    def send_wheels(self, progress: Callable[[str], None]) -> int:
        """Copy wheels to the board unless they are there, and unpack them; return the bytes sent."""
        wheels, folder = self._settings.wheels, self._settings.folder
        if wheels is None:
            return 0
        files = wheel_files(Path(wheels))
        names = "\n".join(file.name for file in files)
        self.packages = f"packages-{hashlib.sha256(names.encode()).hexdigest()[:12]}"
        if self._board.run('[ ! -d "$1/$2" ] || echo there', folder, self.packages).strip():
            return 0
        progress("wheels")
        unpacked = sum(member.file_size for file in files for member in _members(file))
        self._check_space(unpacked + sum(file.stat().st_size for file in files))
        sent = self._board.send({file.name: file for file in files}, f"{folder}/{self.packages}.part")
        self._board.run(_UNPACK, folder, self.packages, self.python)
        self._free_bytes -= unpacked
        return sent

    def fill(self, files: Mapping[str, Path | bytes]) -> int:
        """Copy files, name → local file or content; return the bytes sent."""
        blocks = (-(-size_of(source) // _BLOCK_BYTES) for source in files.values())
        self._check_space(_BLOCK_BYTES * sum(blocks))
        return self._board.send(files, self.place)

    def switch(self) -> None:
        """Let the link of the bundle lead here, in one step."""
        self._held.write_line("switch")
        self._held.answer()

    def _check_space(self, size: int) -> None:
        """Raise PosecError unless `size` bytes fit on the board."""
        wanted, free = size + _SPARE_BYTES, max(self._free_bytes, 0)
        if wanted > free:
            raise PosecError(
                f"'{self._board.host}' has {free / 1e6:.1f} MB free, "
                f"this deployment takes {wanted / 1e6:.1f} MB; free some space there"
            )


@contextlib.contextmanager
def take_slot(
    board: Connection, settings: BoardSettings, name: str, *, progress: Callable[[str], None]
) -> Iterator[Slot]:
    """Hold the lock of the board's folder during a `with` block, and return a new folder for a bundle.

    Raises PosecError where Python is not on the board, or another deployment holds the lock for too long.
    """
    python, identity = board.run(_FIND, settings.python).strip(), uuid4().hex[:12]
    place = f"{settings.folder}/.deployed/{name}/{identity}"
    program = LOCK_PROGRAM.read_text(encoding="utf-8")
    with board.converse(
        _HOLD, program, python, settings.folder, name, identity, str(settings.wait_s)
    ) as held:
        slot = Slot(board, held, settings, place=place, python=python)
        slot.wait(progress)
        yield slot


def wheel_files(folder: Path) -> list[Path]:
    """Return the wheels in a local folder. Raises PosecError where there are none."""
    files = sorted(folder.glob("*.whl"))
    if not files:
        raise PosecError(
            f"no wheels in '{folder}'; fill it with: pip download --only-binary=:all: "
            f"--platform manylinux2014_aarch64 --platform manylinux_2_27_aarch64 -d {folder} …"
        )
    return files


def _members(wheel: Path) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return archive.infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise PosecError(f"'{wheel}' is not a wheel: {error}; download it again") from error
