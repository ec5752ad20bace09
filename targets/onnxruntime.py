"""ONNX Runtime on CPUs: runs everywhere, reads the graph as it is."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from toolkit.ir.graph import Graph, Pass
from toolkit.ir.target import Job, Scheme
from toolkit.passes.lower.drop_redundant_clips import drop_saturated_clips
from toolkit.passes.lower.fold_preprocessing import fold_frame
from toolkit.passes.lower.fuse_head_convs import join_heads
from toolkit.passes.lower.swap_transpose_dequantize import dequantize_first
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.pose import KEYPOINT_HEADS

ENGINE = "onnxruntime"
REQUIRES = "pip install 'posec[compile]'"
TOOLS = ("onnxruntime",)

# Signed activations take a slower kernel on x86.
SCHEME = Scheme(
    name="u8s8-per-channel",
    activations="uint8",
    symmetric=False,
    per_channel=True,
    quantize_bias=True,
    weights_as_integers=True,
    # Resize and AveragePool are as fast in float, and round once less.
    operators=("Conv", "Add", "MaxPool", "Concat"),
    same_scale=("MaxPool",),
    # A step of these heads is half a pixel of a key point or less.
    integer_heads=KEYPOINT_HEADS,
    joined_sums=True,
)


def passes(job: Job) -> Sequence[Pass]:
    """Take the picture as cv2 delivers it."""
    return (fold_frame(FrameInput("uint8", "NHWC", "BGR", normalized=False)),)


def scheme(job: Job) -> Scheme:
    """Return affine uint8 activations, int8 weights per channel."""
    return SCHEME


def finish(job: Job) -> Sequence[Pass]:
    """Dequantize pixels first where they are integers of the network, drop what saturation does anyway, compute float heads at once."""
    return (dequantize_first, drop_saturated_clips, join_heads) if job.precision == "int8" else (join_heads,)


def missing() -> str:
    """Return why ONNX Runtime cannot be used here, or an empty string."""
    return "" if find_spec("onnxruntime") else "onnxruntime is not installed"


def lower(graph: Graph, job: Job) -> dict[str, bytes]:
    """Return model.onnx: the graph itself, with Q/DQ where the job is int8."""
    return {"model.onnx": graph.model.SerializeToString(deterministic=True)}
