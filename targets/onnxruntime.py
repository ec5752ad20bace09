"""ONNX Runtime on CPUs: runs everywhere, reads the graph as it is."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from toolkit.errors import PosecError
from toolkit.ir.graph import Graph, Pass
from toolkit.ir.scheme import Activations, Exceptions, Scheme
from toolkit.ir.target import Job
from toolkit.passes.lower.drop_redundant_clips import drop_redundant_clips
from toolkit.passes.lower.fold_preprocessing import fold_frame
from toolkit.passes.lower.fuse_head_convs import fuse_head_convs
from toolkit.passes.lower.swap_transpose_dequantize import swap_transpose_dequantize
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.model_files.check import check_content
from toolkit.runtime.model_files.graph import ModelFileError
from toolkit.runtime.pose import KEYPOINT_HEADS

ENGINE = "onnxruntime"
REQUIRES = "pip install 'posec[compile]'"
TOOLS = ("onnxruntime",)

SCHEME = Scheme(
    name="u8s8-per-channel",
    # Resize and AveragePool gain nothing in integers, and would round once more.
    operators=("Conv", "Add", "MaxPool", "Concat"),
    # x86 kernels for signed activations are slower.
    activations=Activations("uint8", same_scale=("MaxPool",)),
    # Key points tolerate integers, and save time.
    exceptions=Exceptions(integer_heads=KEYPOINT_HEADS),
    fuse_conv_sums=True,
)


def pre_quantize(job: Job) -> Sequence[Pass]:
    """Take the picture as cv2 delivers it."""
    return (fold_frame(FrameInput("uint8", "NHWC", "BGR", normalized=False)),)


def scheme(job: Job) -> Scheme:
    """Return affine uint8 activations, int8 weights per channel."""
    return SCHEME


def post_quantize(job: Job) -> Sequence[Pass]:
    """Fuse the last convolutions of float heads; for int8 also dequantize pixels first and drop clips."""
    if job.precision != "int8":
        return (fuse_head_convs,)
    return (swap_transpose_dequantize, drop_redundant_clips, fuse_head_convs)


def missing() -> str:
    """Return why ONNX Runtime cannot be used here, or an empty string."""
    return "" if find_spec("onnxruntime") else "onnxruntime is not installed"


def check(graph: Graph, job: Job) -> None:
    """Raise PosecError where the graph has an operator that a bundle may not hold, or exceeds its bounds."""
    try:
        check_content(graph.model.SerializeToString(), ".onnx")
    except ModelFileError as error:
        raise PosecError(f"the lowered graph {error}; export the network with other operators") from error


def lower(graph: Graph, job: Job) -> dict[str, bytes]:
    """Return model.onnx: the graph itself, with Q/DQ where the job is int8."""
    return {"model.onnx": graph.model.SerializeToString(deterministic=True)}


def plan_details(graph: Graph, job: Job) -> dict[str, Any]:
    """Return nothing: the plan holds all that is known."""
    return {}
