"""Hashes of the inputs of a sweep, by content."""

from __future__ import annotations

import contextlib
import hashlib
from importlib import metadata
from pathlib import Path

import targets

from ...errors import PosecError
from ...frontend.trace import checkpoint_folder
from ...runtime.files.plain_files import open_plain
from ...sweep.plan import SweepPlan
from ...sweep.tasks import Digests
from ..interface import inputs

_LARGEST_FILE = 2**34
_MOST_FILES = 10**6
_BLOCK = 2**20
_TOOLS = (
    "numpy",
    "opencv-python-headless",
    "onnx",
    "onnxsim",
    "onnxruntime",
    "openvino",
    "litert-torch",
    "torch",
)


def digests_of(plan: SweepPlan) -> Digests:
    """Return the hashes of the files that a plan names. Raises PosecError for one that cannot be read."""
    shipped = Path(targets.__file__).parent
    boards = {}
    for target in plan.targets:
        targets.load(target)
        boards[target] = _digest(Path(target) if target.endswith(".toml") else shipped / f"{target}.toml")
    scenes = inputs.sample(plan.scenes, "scenes.json")
    return Digests(
        network=_digest(checkpoint_folder(plan.network)),
        targets=boards,
        calibration=_digest(inputs.sample(plan.calibration, "calibration")),
        scenes=_digest(scenes, scenes.with_suffix("")),
        tools=_tool_versions(),
    )


def _tool_versions() -> dict[str, str]:
    """Return the versions of the libraries that results depend on."""
    found = {}
    for name in _TOOLS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _digest(*paths: Path) -> str:
    """Return the SHA-256 of the names and contents of files, and of all files in folders."""
    digest, count = hashlib.sha256(), 0
    for path in paths:
        if not path.exists():
            if path is paths[0]:
                raise PosecError(f"no file or folder '{path}'; correct the plan")
            continue
        files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in files:
            count += 1
            if count > _MOST_FILES:
                raise PosecError(f"'{path}' holds more than {_MOST_FILES} files; name a smaller folder")
            digest.update(
                f"{file.relative_to(path) if path.is_dir() else file.name}\0".encode("utf-8", "replace")
            )
            with open_plain(file, most_bytes=_LARGEST_FILE, error=PosecError) as opened:
                while block := opened.read(_BLOCK):
                    digest.update(block)
    return digest.hexdigest()
