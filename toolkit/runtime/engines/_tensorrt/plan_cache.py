"""Plans on disk, stored by the fingerprint of machine, model and options."""

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
    """No folder for plans; the message names the folder to make writable."""


def cache_folder(environment: Optional[Mapping[str, str]] = None) -> Path:
    """Return the folder for plans, created if missing: $POSEC_CACHE, else posec in the user's cache folder.

    A plan is a GPU program, so the folder must belong to the user. Raises CacheError if it does not, or
    cannot be created.
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
            f"{folder} belongs to another user or cannot be written; set {FOLDER_VARIABLE} to a folder of "
            "yours"
        )
    return folder


def key_of(fingerprint: Mapping[str, Any]) -> str:
    """Return the file name for a fingerprint: a hash of all its parts."""
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:20]


class PlanCache:
    """The plan of one fingerprint, and the timing cache of its machine."""

    def __init__(self, folder: Path, fingerprint: Mapping[str, Any], machine: Mapping[str, Any]) -> None:
        """Use a folder of plans; timings depend on `machine` alone, a part of the fingerprint."""
        self.fingerprint: Dict[str, Any] = json.loads(json.dumps({**fingerprint, "format": FORMAT}))
        self.key = key_of(self.fingerprint)
        self.plan, self._note = folder / f"{self.key}.plan", folder / f"{self.key}.json"
        self._timings = folder / f"timings-{key_of(machine)}.cache"
        self._lock, self._attempts = folder / f"{self.key}.lock", folder / f"{self.key}.attempts"

    def load(self) -> Optional[bytes]:
        """Return the plan, or None if it is missing, incomplete, or built for another fingerprint."""
        try:
            note = json.loads(self._note.read_text())
            plan = self.plan.read_bytes()
        except (FileNotFoundError, UnicodeDecodeError, json.JSONDecodeError):
            return None
        whole = isinstance(note, dict) and note.get("sha256") == hashlib.sha256(plan).hexdigest()
        return plan if whole and note.get("fingerprint") == self.fingerprint else None

    def store(self, plan: bytes, timings: bytes) -> None:
        """Write the plan, then its note; a plan without its note is ignored."""
        self._note.unlink(missing_ok=True)
        _write(self.plan, plan)
        note = {"fingerprint": self.fingerprint, "sha256": hashlib.sha256(plan).hexdigest()}
        _write(self._note, json.dumps(note, indent=1).encode())
        _write(self._timings, timings)
        self._prune()

    def forget(self) -> None:
        """Remove a plan that TensorRT could not load."""
        self._note.unlink(missing_ok=True)
        self.plan.unlink(missing_ok=True)

    def timings(self) -> bytes:
        """Return the timing cache of earlier builds on this machine; empty if there is none."""
        return self._timings.read_bytes() if self._timings.exists() else b""

    def begin(self) -> int:
        """Return the number of unfinished builds of this plan: killed, usually for lack of memory."""
        noted = self._attempts.read_bytes() if self._attempts.exists() else b""
        attempts = int(noted) if noted.isdigit() else 0
        _write(self._attempts, str(attempts + 1).encode())
        return attempts

    def end(self) -> None:
        """Record that the build ended, with or without a plan."""
        self._attempts.unlink(missing_ok=True)

    @contextlib.contextmanager
    def building(self, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold the lock of this plan's build; `on_wait` is called while another process holds it.

        The kernel releases the lock when its holder dies. Partial files of a killed build are removed.
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
