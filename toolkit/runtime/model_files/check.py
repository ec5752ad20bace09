"""The check of a bundle's model before an engine opens it."""

from __future__ import annotations

import mmap
from pathlib import Path

from .bounds import check_bounds
from .graph import ModelFileError
from .onnx_format.onnx_model import read_onnx_graph
from .onnx_format.onnx_rules import ONNX_RULES
from .onnx_format.protobuf import Buffer
from .tflite_format.tflite_model import read_tflite_graph
from .tflite_format.tflite_rules import TFLITE_RULES

# Engines choose a reader by the ending: a file of another format could pass the check of this one.
_CHECKS = {".onnx": (read_onnx_graph, ONNX_RULES), ".tflite": (read_tflite_graph, TFLITE_RULES)}


def check_model(path: Path, ending: str) -> None:
    """Check that a model file is feed-forward, complete, and within bounds of memory and arithmetic.

    Args:
        path: of the file.
        ending: of the format that the engine reads, ".onnx" or ".tflite".

    Raises ModelFileError; its message continues a sentence that begins with the file's name.
    """
    if path.suffix != ending:
        raise ModelFileError(f"has another ending than '{ending}', the format of its engine")
    with open(path, "rb") as file:
        if not file.read(1):
            raise ModelFileError("is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            check_content(content, ending)


def check_content(content: Buffer, ending: str) -> None:
    """Check the bytes of a model file; see `check_model`."""
    read, rules = _CHECKS[ending]
    check_bounds(read(content), rules)
