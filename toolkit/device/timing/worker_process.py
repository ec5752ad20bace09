"""The bench's side of a worker: start it, send requests, end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


class WorkerProcess:
    """A process that measures one bundle; after a failure, `failed` holds the reason and no more requests are possible."""

    def __init__(self, folder: Path) -> None:
        """Start it; the bundle in `folder` is opened by the request "load"."""
        self.folder, self.failed = folder, ""
        home = str(
            Path(__file__).resolve().parents[3]
        )  # where the package lies, also when it is not installed
        path = os.pathsep.join(part for part in (home, os.environ.get("PYTHONPATH", "")) if part)
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            text=True,
        )

    def ask(self, do: str, **request: Any) -> Any:
        """Return the worker's answer to a request (a method of `worker.Worker` and its arguments), or None where it failed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **request}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        reply = (
            json.loads(line)
            if line
            else {"refused": f"the process that ran the bundle ended with status {self._process.wait()}"}
        )
        self.failed = reply.get("refused", "")
        return reply.get("answer")

    def close(self) -> None:
        """End the worker; kill it where it does not end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(timeout=10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
