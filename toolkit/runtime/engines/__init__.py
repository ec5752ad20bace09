"""Engines: a batch in, float32 heads out. One module per runtime library, named in the bundle."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Dict, Optional, Protocol

import numpy as np

from ..bundle import Bundle
from ..console import printable
from ..errors import PoseError
from ..model_files.check import check_model
from ..model_files.graph import ModelFileError

ENGINES = ("onnxruntime", "openvino", "tflite", "tensorrt", "replay")
# Engine → ending of its model's name; the replay engine reads arrays, within separate bounds.
_ENDINGS = {**dict.fromkeys(("onnxruntime", "openvino", "tensorrt"), ".onnx"), "tflite": ".tflite"}


class EngineError(PoseError):
    """An engine is unknown, not installed, or cannot run the model. Lines of the message are joined."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(line.strip() for line in message.splitlines()))


class Engine(Protocol):
    """Interface of the class `Engine` of every engine module, made from (path, bundle, threads)."""

    def __call__(self, batch: np.ndarray) -> Dict[str, np.ndarray]:
        """Return head name → (C, h, w) float32 for a batch in the layout of the bundle's frame.

        The next call may overwrite the arrays. Raises EngineError if the model fails.
        """

    def describe(self) -> Dict[str, str]:
        """Return engine, version, threads, and the precision if the library reports it."""


def open_engine(bundle: Bundle, threads: Optional[int] = None) -> Engine:
    """Open the bundle's model in the bundle's engine.

    Raises EngineError where that fails, and before that for a model that no export writes: with control
    flow, custom code, or weights outside its file, which no hash covers, or beyond the bounds of
    `model_files`.
    """
    if bundle.engine not in ENGINES:
        raise EngineError(
            f"no engine '{bundle.engine}'; known: {', '.join(ENGINES)}; "
            "update posec on this machine or export again"
        )
    module = importlib.import_module(f".{bundle.engine}", __package__)
    _check_path(str(bundle.model_path))
    if bundle.engine in _ENDINGS:
        _check_model(bundle.model_path, bundle.engine)
    threads = check_threads(bundle.options.get("threads") if threads is None else threads)
    return module.Engine(str(bundle.model_path), bundle, threads)


def _check_path(path: str) -> None:
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise EngineError(
            f"engines open only paths in UTF-8, got '{printable(path, keep='')}'; "
            "rename the folder of the bundle"
        ) from error


def _check_model(path: Path, engine: str) -> None:
    try:
        check_model(path, _ENDINGS[engine])
    except OSError as error:
        raise EngineError(f"cannot open '{path}': {error.strerror}; export the bundle again") from error
    except ModelFileError as error:
        raise EngineError(f"'{path}' {error}; export the bundle again") from error


def check_threads(threads: Optional[int]) -> Optional[int]:
    """Return `threads` unchanged. Raises EngineError unless it is None or an integer from 1 to 1024."""
    if threads is not None and (type(threads) is not int or not 1 <= threads <= 1024):
        raise EngineError(f"threads must be a number from 1 to 1024, got {threads!r}")
    return threads
