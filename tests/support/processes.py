"""The command as a process, as a shell or a service starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def posec(*words: Any, module: str = "toolkit", **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command to its end and return its status and output."""
    options = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "stdin": subprocess.DEVNULL,
        "timeout": 120,
        **options,
    }
    return subprocess.run(
        line(*words, module=module), text=True, errors="replace", check=False, env=environment(), **options
    )


class Started(subprocess.Popen[str]):
    """A process that ends with its `with` block when a test fails there, so that no test hangs."""

    def __exit__(self, kind: Any, value: Any, traceback: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, value, traceback)


def start(*words: Any, module: str = "toolkit", **options: Any) -> Started:
    """Start the command with pipes for its output."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options}
    return Started(line(*words, module=module), text=True, env=environment(), **options)


def line(*words: Any, module: str = "toolkit") -> list[Any]:
    """Return the command line."""
    return [sys.executable, "-m", module, *(word if isinstance(word, bytes) else str(word) for word in words)]


def environment() -> dict[str, str]:
    """Return an environment in which the command is the one under test."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}
