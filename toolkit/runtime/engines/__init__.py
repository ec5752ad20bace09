"""Engines: a batch in, float32 heads out. One module per runtime library, named in the bundle."""

from __future__ import annotations

import importlib
from typing import Dict, Optional, Protocol

import numpy as np

from ..bundle import Bundle
from ..errors import PoseError

ENGINES = ("onnxruntime", "openvino", "tflite", "tensorrt", "replay")


class EngineError(PoseError):
    """An engine that is unknown, not installed, or cannot run the model."""


class Engine(Protocol):
    """Interface of the class `Engine` of every engine module, made from (path, bundle, threads)."""

    def __call__(self, batch: np.ndarray) -> Dict[str, np.ndarray]:
        """Return head name → (C, h, w) float32 for a batch in the layout of the bundle's frame.

        The next call may overwrite the arrays. Raises EngineError if the model fails.
        """

    def describe(self) -> Dict[str, str]:
        """Return engine, version, threads, and the precision if the library reports it."""


def open_engine(bundle: Bundle, threads: Optional[int] = None) -> Engine:
    """Open the bundle's model in the bundle's engine. Raises EngineError if that fails."""
    if bundle.engine not in ENGINES:
        raise EngineError(
            f"no engine '{bundle.engine}'; known: {', '.join(ENGINES)}; "
            "update posec on this machine or export again"
        )
    module = importlib.import_module(f".{bundle.engine}", __package__)
    threads = check_threads(bundle.options.get("threads") if threads is None else threads)
    return module.Engine(str(bundle.model_path), bundle, threads)


def check_threads(threads: Optional[int]) -> Optional[int]:
    """Return `threads` unchanged. Raises EngineError unless it is None or an integer from 1 to 1024."""
    if threads is not None and (type(threads) is not int or not 1 <= threads <= 1024):
        raise EngineError(f"threads must be a number from 1 to 1024, got {threads!r}")
    return threads
