"""OpenVINO on x86 CPUs. It reads the ONNX graph of ONNX Runtime; its own format has two files."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

from toolkit.ir.scheme import Exceptions, Scheme
from toolkit.ir.target import Job
from toolkit.runtime.engines.cpu import NO_BFLOAT16, computes_bfloat16

from . import onnxruntime
from .onnxruntime import check, lower, plan_details, post_quantize, pre_quantize

__all__ = [
    "ENGINE",
    "REQUIRES",
    "SCHEME",
    "TOOLS",
    "check",
    "lacking",
    "lower",
    "missing",
    "plan_details",
    "post_quantize",
    "pre_quantize",
    "scheme",
]

ENGINE = "openvino"
REQUIRES = "pip install 'posec[compile]'"
TOOLS = ("openvino",)

# OpenVINO multiplies integers and writes floats as fast, so that the weights of heads may be integers, too.
SCHEME = replace(
    onnxruntime.SCHEME,
    name="u8s8-per-channel-float-results",
    exceptions=Exceptions(head_weights=True),
    fuse_conv_sums=False,
)


def scheme(job: Job) -> Scheme:
    """Return affine uint8 activations and int8 weights per channel; convolutions of heads write floats."""
    return SCHEME


def missing() -> str:
    """Return why OpenVINO cannot be used here, or an empty string."""
    return "" if find_spec("openvino") else "openvino is not installed"


def lacking(precision: str) -> str:
    """Return why this CPU cannot run `precision`, or an empty string: an export is checked in the engine."""
    return NO_BFLOAT16 if precision == "bfloat16" and not computes_bfloat16() else ""
