"""TensorRT on Jetson: the bundle has an ONNX file, float or Q/DQ, and the board builds its plan from it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from toolkit.errors import PosecError
from toolkit.ir.graph import Graph, Pass
from toolkit.ir.scheme import Activations, Exceptions, Scheme, Weights
from toolkit.ir.target import Job
from toolkit.passes.lower.drop_one_sided_qdq import drop_one_sided_qdq
from toolkit.passes.lower.fold_preprocessing import fold_frame
from toolkit.passes.lower.quantize_input import quantize_input
from toolkit.passes.tensorrt.check import tensorrt_check
from toolkit.passes.tensorrt.rules import rules_for
from toolkit.runtime.engines._tensorrt.plan_build import SMALLEST_WORKSPACE
from toolkit.runtime.frame import FrameInput

from ._tensorrt_forecast import plan_details, trtexec_line
from .onnxruntime import check

__all__ = [
    "ENGINE",
    "check",
    "frame",
    "lower",
    "missing",
    "plan_details",
    "post_quantize",
    "pre_quantize",
    "scheme",
    "trtexec_line",
    "versions",
]

ENGINE = "tensorrt"
REQUIRES = "pip install 'posec[host]'"
TOOLS = ()

SCHEME = Scheme(
    name="s8s8-symmetric-per-channel",
    operators=("Conv", "ConvTranspose", "Add", "Resize", "AveragePool", "MaxPool", "Concat"),
    activations=Activations("int8", symmetric=True, quantize_results=False, same_scale=("Resize", "MaxPool")),
    # Every version reads float → QuantizeLinear → DequantizeLinear, and folds it to int8.
    weights=Weights(as_integers=False),
    bias="float32",
    # Grouped convolutions are no faster in int8 than in float16, and cause most of the drift.
    exceptions=Exceptions(float_depthwise=True, fused_residual=True),
)


def frame(precision: str) -> FrameInput:
    """Return the frame as cv2 delivers it; the GPU normalizes it."""
    return FrameInput("uint8", "NHWC", "BGR", normalized=False)


def frame_for(job: Job) -> FrameInput:
    """Return the frame for a board: float32 where its TensorRT has no uint8 (before 8.5)."""
    pixels = all("UINT8" in rules_for(version).types for version in versions(job))
    return frame(job.precision) if pixels else FrameInput("float32", "NHWC", "BGR", normalized=False)


def versions(job: Job) -> tuple[str, ...]:
    """Return the TensorRT versions of the board's JetPacks. Raises PosecError without any."""
    stated = job.target.facts.get("tensorrt")
    if (
        not isinstance(stated, list | tuple)
        or not stated
        or not all(isinstance(version, str) for version in stated)
    ):
        raise PosecError(
            f"target '{job.target.name}' must state the TensorRT of its JetPacks: "
            'tensorrt = ["10.3.0"] under [facts]'
        )
    return tuple(stated)


def pre_quantize(job: Job) -> Sequence[Pass]:
    """Return the passes that fold the frame and, for int8, quantize its pixels exactly.

    Raises PosecError where the target's options require hardware that the board lacks.
    """
    _check_build(job)
    _check_dla(job)
    folded = fold_frame(frame_for(job), cast=True)
    return (folded, quantize_input) if job.precision == "int8" else (folded,)


def _check_build(job: Job) -> None:
    options, memory = job.target.options, job.target.facts.get("memory_gb", math.inf)
    smallest = SMALLEST_WORKSPACE >> 20
    workspace, minutes = options.get("workspace_mb", smallest), options.get("build_minutes", [1, 10])
    if type(workspace) is not int or not smallest <= workspace <= memory * 1024:
        raise PosecError(
            f"target '{job.target.name}' has {memory} GB of memory, its option workspace_mb is "
            f"{workspace!r}; take a whole number from {smallest} up, an eighth of the memory is usual"
        )
    if (
        not isinstance(minutes, list | tuple)
        or len(minutes) != 2
        or not all(isinstance(end, int | float) for end in minutes)
    ):
        raise PosecError(
            f"target '{job.target.name}': build_minutes are two numbers, [3, 12]; got {minutes!r}"
        )


def _check_dla(job: Job) -> None:
    core, cores = job.target.options.get("dla_core"), job.target.facts.get("dla_cores", 0)
    if core is None:
        return
    if type(core) is not int or not 0 <= core < cores:
        choice = f"take {' or '.join(map(str, range(cores)))}, or " if cores else ""
        raise PosecError(
            f"target '{job.target.name}' has {cores or 'no'} DLA cores, its option dla_core is {core!r}; "
            f"{choice}leave it out for the GPU"
        )
    if job.precision != "float16":
        raise PosecError(
            f"the DLA supports neither float32 nor explicit int8, got '{job.precision}' with "
            f"dla_core = {core}; take float16"
        )


def scheme(job: Job) -> Scheme:
    """Return the scheme: symmetric int8 activations, int8 weights per channel, float biases.

    Of the operands of a residual sum, only the shortcut is quantized.
    """
    return SCHEME


def post_quantize(job: Job) -> Sequence[Pass]:
    """Return passes: drop one-sided Q/DQ, and check the graph against the board's TensorRT versions."""
    proof = tensorrt_check(*versions(job))
    return (drop_one_sided_qdq, proof) if job.precision == "int8" else (proof,)


def missing() -> str:
    """Return an empty string: TensorRT is needed only on the board."""
    return ""


def lower(graph: Graph, job: Job) -> dict[str, bytes]:
    """Return model.onnx."""
    return {"model.onnx": graph.model.SerializeToString(deterministic=True)}
