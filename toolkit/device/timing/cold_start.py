"""Cold start and resident memory of a bundle, as a service has them after a restart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

MOST_RUNS = 3
WITHIN_S = 3600.0  # a Jetson may build its plan
RESIDENT = "resident_mb"


def cold_start(
    folder: str | Path, picture: str | Path, *, threads: int | None = None, seconds: float = 10.0
) -> dict[str, float]:
    """Return medians over fresh processes that import the runtime, load a bundle and run one picture.

    The files are in the system's cache after the first process. There are one to three of them, the more the
    longer `seconds` is.

    Args:
        folder: of the bundle.
        picture: file of the first picture.
        threads: of the engine; None takes the bundle's.
        seconds: no process is started after this time.

    Returns:
        `libraries_ms` (import of numpy and cv2), `import_ms` (import of the runtime beyond them), `load_ms`,
        `first_ms` (first picture), `start_to_people_ms` (start of Python to the people of the first picture,
        with reading its file), and `resident_mb` at that moment, where the system reports it. Empty if the
        bundle cannot run.
    """
    rows: list[dict[str, Any]] = []
    end = time.monotonic() + seconds
    while len(rows) < MOST_RUNS and (not rows or time.monotonic() < end):
        row = _run(str(folder), str(picture), threads)
        if row is None:
            return {}
        rows.append(row)
    known = [name for name in rows[0] if rows[0][name] is not None]
    return {name: round(float(np.median([row[name] for row in rows])), 2) for name in known}


def _run(folder: str, picture: str, threads: int | None) -> dict[str, Any] | None:
    home = str(Path(__file__).resolve().parents[3])  # of the package, which need not be installed
    path = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
    command = [sys.executable, "-m", f"{__package__}.cold_start_child"]
    try:
        done = subprocess.run(
            [*command, folder, picture, str(threads or 0), repr(time.monotonic())],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=WITHIN_S,
            check=False,
            env={**os.environ, "PYTHONPATH": path},
        )
        if done.returncode:
            return None
        found: dict[str, Any] = json.loads(done.stdout.decode().strip().splitlines()[-1])
        return found
    except (subprocess.TimeoutExpired, ValueError, IndexError):
        return None
