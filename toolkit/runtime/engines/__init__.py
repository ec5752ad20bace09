"""Engines: batch in, heads out as float32. One module for each runtime library, opened by the name in the bundle."""

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
    """What the class `Engine` of every engine module offers; it is made from (path, bundle, threads)."""

    def __call__(self, batch: np.ndarray) -> Dict[str, np.ndarray]:
        """Return head name → (C, h, w) float32 for a batch laid out by the bundle's frame.

        The arrays may be used again by the next call: copy what must last. Raises EngineError where the model fails.
        """

    def describe(self) -> Dict[str, str]:
        """Return what runs here: engine, version, threads, and what it says of its precision."""


def open_engine(bundle: Bundle, threads: Optional[int] = None) -> Engine:
    """Return the bundle's model in the bundle's engine. Raises EngineError where that cannot be."""
    if bundle.engine not in ENGINES:
        raise EngineError(
            f"no engine '{bundle.engine}'; known: {', '.join(ENGINES)}; update posec on this machine or export again"
        )
    module = importlib.import_module(f".{bundle.engine}", __package__)
    threads = check_threads(bundle.options.get("threads") if threads is None else threads)
    return module.Engine(str(bundle.model_path), bundle, threads)


def check_threads(threads: Optional[int]) -> Optional[int]:
    """Return a number of threads, or None, as it is. Raises EngineError where it is none from 1 to 1024."""
    if threads is not None and (type(threads) is not int or not 1 <= threads <= 1024):
        raise EngineError(f"threads must be a number from 1 to 1024, got {threads!r}")
    return threads
