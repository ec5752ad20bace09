"""Plans on disk: each under the fingerprint of the machine, the model and the options that it was built for."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Mapping, Optional

from .. import EngineError

FORMAT = 1
FOLDER_VARIABLE = "POSEC_CACHE"
_KEEP_PLANS = 12


class CacheError(EngineError):
    """Plans can be kept nowhere; the message says which folder to make writable."""


def cache_folder(environment: Optional[Mapping[str, str]] = None) -> Path:
    """Return the folder for plans, made where it is missing: $POSEC_CACHE, else posec under the user's cache folder.

    A plan is a program for the GPU, so the folder is the user's alone. Raises CacheError where it is not, or cannot be made.
    """
    environment = os.environ if environment is None else environment
    given = environment.get(FOLDER_VARIABLE)
    home, caches = environment.get("HOME"), environment.get("XDG_CACHE_HOME")
    where = (
        Path(caches)
        if caches
        else Path(home) / ".cache"
        if home
        else Path(tempfile.gettempdir()) / f"posec-{os.getuid()}"
    )
    folder = Path(given) if given else where / "posec" / "plans"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = folder.stat().st_uid
    except OSError as error:
        raise CacheError(
            f"no folder for plans at {folder} ({error}); set {FOLDER_VARIABLE} to one that can be written"
        ) from error
    if owner != os.getuid() or not os.access(folder, os.W_OK):
        raise CacheError(
            f"{folder} belongs to another user or cannot be written; set {FOLDER_VARIABLE} to a folder of yours"
        )
    return folder


def key_of(fingerprint: Mapping[str, Any]) -> str:
    """Return the file name of a fingerprint; any change of any part gives another."""
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:20]


class PlanCache:
    """The plan of one fingerprint, and the timing cache of its machine."""

    def __init__(self, folder: Path, fingerprint: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
        """Take a folder of plans; `machine` is the part of the fingerprint that timings depend on."""
        self.fingerprint: Dict[str, Any] = json.loads(json.dumps({**fingerprint, "format": FORMAT}))
        self.key = key_of(self.fingerprint)
        self.plan, self._note = folder / f"{self.key}.plan", folder / f"{self.key}.json"
        self._timings = folder / f"timings-{key_of(machine)}.cache"
        self._lock, self._attempts = folder / f"{self.key}.lock", folder / f"{self.key}.attempts"

    def load(self) -> Optional[bytes]:
        """Return the plan, or None where there is none, or it is not whole, or it was built for anything else."""
        try:
            note = json.loads(self._note.read_text())
            plan = self.plan.read_bytes()
        except (FileNotFoundError, UnicodeDecodeError, json.JSONDecodeError):
            return None
        whole = isinstance(note, dict) and note.get("sha256") == hashlib.sha256(plan).hexdigest()
        return plan if whole and note.get("fingerprint") == self.fingerprint else None

    def store(self, plan: bytes, timings: bytes) -> None:
        """Write the plan, its note last: a plan without its note does not count."""
        self._note.unlink(missing_ok=True)
        _write(self.plan, plan)
        note = {"fingerprint": self.fingerprint, "sha256": hashlib.sha256(plan).hexdigest()}
        _write(self._note, json.dumps(note, indent=1).encode())
        _write(self._timings, timings)
        self._prune()

    def forget(self) -> None:
        """Remove the plan: TensorRT did not want it."""
        self._note.unlink(missing_ok=True)
        self.plan.unlink(missing_ok=True)

    def timings(self) -> bytes:
        """Return the timing cache that earlier builds on this machine left, or nothing."""
        return self._timings.read_bytes() if self._timings.exists() else b""

    def begin(self) -> int:
        """Return how many builds of this plan were begun and never ended: killed, most often for want of memory."""
        noted = self._attempts.read_bytes() if self._attempts.exists() else b""
        attempts = int(noted) if noted.isdigit() else 0
        _write(self._attempts, str(attempts + 1).encode())
        return attempts

    def end(self) -> None:
        """Note that the build ended, with a plan or without."""
        self._attempts.unlink(missing_ok=True)

    @contextlib.contextmanager
    def building(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold the right to build this plan; `on_wait` is called where another process holds it.

        The kernel gives the right back when its holder dies; what a killed build left half written is removed here.
        """
        import fcntl  # only where plans are built: Linux

        with open(self._lock, "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(lock, fcntl.LOCK_EX)
            for part in self.plan.parent.glob(f"{self.key}.*.part"):
                part.unlink()
            yield

    def _prune(self) -> None:
        """Keep the newest plans: boards that change power mode or JetPack leave old ones behind."""
        plans = sorted(self.plan.parent.glob("*.plan"), key=lambda path: path.stat().st_mtime, reverse=True)
        for plan in plans[_KEEP_PLANS:]:
            for suffix in (".json", ".plan", ".lock", ".attempts"):
                plan.with_suffix(suffix).unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())  # a board may lose power at any time
    os.replace(part, path)
