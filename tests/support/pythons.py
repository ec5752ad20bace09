"""Python versions at hand, and environments of them with packages from the registry."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")


def interpreter(version: str) -> str:
    """Return the path of a Python of this version that starts; skips the test where there is none."""
    roots = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    for path in filter(None, [*map(str, roots), shutil.which(f"python{version}")]):
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    pytest.skip(f"no Python {version} on this machine")


def environment(folder: Path, version: str, *packages: str) -> str:
    """Return the Python of a new environment with packages; skip the test where the registry lacks them."""
    subprocess.run([interpreter(version), "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and any(
        word in done.stderr
        for word in ("No matching distribution", "Could not find a version", "ConnectionError")
    ):
        pytest.skip(
            f"pip has no {' '.join(packages)} for Python {version}: {done.stderr.strip().splitlines()[-1]}"
        )
    assert done.returncode == 0, done.stderr
    return python
