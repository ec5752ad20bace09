"""OpenVINO on x86 CPUs, the fastest there: it reads the same graph as ONNX Runtime, Q/DQ and all.

Its own format would load 30 ms faster and run as fast (21.8 ms float32, 8.6 ms int8, one thread of an EPYC), in two files for one.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from toolkit.ir.target import Job, Scheme

from . import onnxruntime
from .onnxruntime import finish, lower, passes

__all__ = ["ENGINE", "REQUIRES", "SCHEME", "TOOLS", "finish", "lower", "missing", "passes", "scheme"]

ENGINE = "openvino"
REQUIRES = "pip install 'posec[host]'"
TOOLS = ("openvino",)

# Float convolutions of a head's few channels take three times as long as those of integers, which write floats as well: 12.0 ms become
# 11.1 (reference network, one thread of an EPYC). Rounding the weights alone costs one or two hundredths of the drift.
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
