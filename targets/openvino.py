"""OpenVINO on x86 CPUs, the fastest there: it reads the same graph as ONNX Runtime, Q/DQ and all.

Its own format would load 30 ms faster and run as fast (21.8 ms float32, 8.6 ms int8, one thread of an EPYC), in two files for one.
"""

from __future__ import annotations

from importlib.util import find_spec

from .onnxruntime import SCHEME, finish, lower, passes, scheme

__all__ = ["ENGINE", "REQUIRES", "SCHEME", "TOOLS", "finish", "lower", "missing", "passes", "scheme"]

ENGINE = "openvino"
REQUIRES = "pip install 'posec[host]'"
TOOLS = ("openvino",)


def missing() -> str:
    """Return why OpenVINO cannot be used here, or an empty string."""
    return "" if find_spec("openvino") else "openvino is not installed"
