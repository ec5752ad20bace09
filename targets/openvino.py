"""OpenVINO on x86 CPUs: the fastest there, in float32 and in int8."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from toolkit.graph import Graph, Pass
from toolkit.passes.frame_input import fold_frame
from toolkit.runtime.frame import FrameInput
from toolkit.target import Job, Scheme

ENGINE = "openvino"
REQUIRES = "pip install 'posec[host]'"
TOOLS = ("openvino",)

SCHEME = Scheme(
    name="u8s8-per-channel",
    activations="uint8",
    symmetric=False,
    per_channel=True,
    quantize_bias=True,
    weights_as_integers=True,
    operators=("Conv", "Add", "Resize", "AveragePool", "MaxPool", "Concat"),
    same_scale=("Resize", "MaxPool"),
)


def frame(precision: str) -> FrameInput:
    """Return the picture as cv2 delivers it."""
    return FrameInput("uint8", "NHWC", "BGR", normalized=False)


def passes(job: Job) -> Sequence[Pass]:
    """Fold the frame."""
    return (fold_frame(frame(job.precision)),)


def scheme(job: Job) -> Scheme:
    """Return affine uint8 activations, int8 weights per channel."""
    return SCHEME


def finish(job: Job) -> Sequence[Pass]:
    """Nothing is left to do."""
    return ()


def missing() -> str:
    """Return why OpenVINO cannot be used here, or an empty string."""
    return "" if find_spec("openvino") else "openvino is not installed"


def lower(graph: Graph, job: Job) -> dict[str, bytes]:
    """Return model.onnx: OpenVINO reads the graph with its Q/DQ as it is."""
    return {"model.onnx": graph.model.SerializeToString(deterministic=True)}
