"""OpenVINO on x86 CPUs: it reads the same ONNX graph as ONNX Runtime, with Q/DQ. Its own format runs as fast, in two files."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from toolkit.ir.target import Job, Scheme

from . import onnxruntime
from .onnxruntime import finish, lower, passes

__all__ = ["ENGINE", "REQUIRES", "SCHEME", "TOOLS", "finish", "lower", "missing", "passes", "scheme"]

ENGINE = "openvino"
REQUIRES = "pip install 'posec[compile]'"
TOOLS = ("openvino",)

# Integer convolutions of a head's few channels write floats and are faster than float ones; rounding their weights adds little drift.
SCHEME = replace(
    onnxruntime.SCHEME,
    name="u8s8-per-channel-float-results",
    head_weights=True,
    integer_heads=(),
    joined_sums=False,
)


def scheme(job: Job) -> Scheme:
    """Return affine uint8 activations, int8 weights per channel, those of heads included, whose results are floats."""
    return SCHEME


def missing() -> str:
    """Return why OpenVINO cannot be used here, or an empty string."""
    return "" if find_spec("openvino") else "openvino is not installed"
