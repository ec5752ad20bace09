"""OpenVINO on x86 CPUs, the fastest there: it reads the same graph as ONNX Runtime, Q/DQ and all.

Its own format would load 30 ms faster and run as fast (21.8 ms float32, 8.6 ms int8, one thread of an EPYC), in two files for one.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from toolkit.ir.scheme import Exceptions, Scheme
from toolkit.ir.target import Job

from . import onnxruntime
from .onnxruntime import lower, plan_details, post_quantize, pre_quantize

__all__ = [
    "ENGINE",
    "REQUIRES",
    "SCHEME",
    "TOOLS",
    "lower",
    "missing",
    "plan_details",
    "post_quantize",
    "pre_quantize",
    "scheme",
]

ENGINE = "openvino"
REQUIRES = "pip install 'posec[host]'"
TOOLS = ("openvino",)

# OpenVINO multiplies integers and writes floats as fast, so that the weights of heads may be integers, too.
SCHEME = replace(
    onnxruntime.SCHEME,
    name="u8s8-per-channel-float-results",
    exceptions=Exceptions(head_weights=True),
    fuse_conv_sums=False,
)


def scheme(job: Job) -> Scheme:
    """Return affine uint8 activations, int8 weights per channel, those of heads included, whose results are floats."""
    return SCHEME


def missing() -> str:
    """Return why OpenVINO cannot be used here, or an empty string."""
    return "" if find_spec("openvino") else "openvino is not installed"
