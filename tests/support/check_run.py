"""`pytest --check`: run the tests that need no torch, no process and no engine but replay; skip others."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import multiprocessing.process
import subprocess
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

import pytest

HEAVY = (
    "torch",
    "onnxruntime",
    "openvino",
    "ai_edge_litert",
    "tflite_runtime",
    "litert_torch",
    "tensorrt",
    "onnxsim",
    "distributed",  # starts processes
)


def _skip(what: str) -> NoReturn:
    pytest.skip(f"needs {what}; `make check` leaves that to `make test`", allow_module_level=True)


class _SkipOnImport(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds a heavy module as usual, and skips the test that imports it."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        return importlib.machinery.ModuleSpec(name, self) if name in HEAVY else None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules.pop(module.__name__, None)
        _skip(module.__name__)


def install() -> None:
    """Skip, for the rest of this process, every test that imports a heavy module or starts a process."""
    sys.meta_path.insert(0, _SkipOnImport())

    def no_process(*_: Any, **__: Any) -> NoReturn:
        _skip("a process")

    subprocess.Popen.__init__ = no_process  # type: ignore[method-assign]
    multiprocessing.process.BaseProcess.start = no_process  # type: ignore[method-assign]
