"""TFLite for Arm boards: the lowered graph, replayed as torch operations and converted by litert-torch."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from toolkit.errors import PosecError
from toolkit.ir.graph import Graph, Pass
from toolkit.ir.scheme import Activations, Exceptions, Scheme
from toolkit.ir.target import Job
from toolkit.passes.edit.graph_index import WEIGHT_AXIS, layer_name
from toolkit.passes.lower.average_pool_to_conv import convert_average_pools
from toolkit.passes.lower.drop_redundant_clips import drop_redundant_clips
from toolkit.passes.lower.fold_preprocessing import fold_frame
from toolkit.passes.lower.fuse_head_convs import fuse_head_convs
from toolkit.passes.quantize.float_islands import check_float_islands, float_islands
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.pose import KEYPOINT_HEADS

ENGINE = "tflite"
REQUIRES = "pip install 'posec[tflite]'"
TOOLS = ("litert_torch", "litert_converter", "ai_edge_litert", "torch")

# TFLite's integer kernels of these types keep the scale of their input.
_SAME_SCALE = ("Resize", "AveragePool", "MaxPool", "Concat", "Transpose", "Reshape")
_FIXED = {"Sigmoid": (1 / 256, -128), "Tanh": (1 / 128, 0)}
SCHEME = Scheme(
    name="s8s8-affine-per-channel",
    operators=("Conv", "Add", "Mul", "GlobalAveragePool", "Sigmoid", "Tanh", *_SAME_SCALE),
    activations=Activations("int8", same_scale=_SAME_SCALE, fixed=_FIXED),
    # Key-point heads tolerate int8, which is faster.
    exceptions=Exceptions(integer_heads=KEYPOINT_HEADS),
    fuse_conv_sums=True,
)

# The last two conversions, by (hash of the graph, int8): boards of one family share a file.
_CACHE: dict[tuple[str, bool], bytes] = {}


def frame(precision: str) -> FrameInput:
    """Return int8 pixels for int8, which the first layer reads directly; otherwise normalized floats.

    A float model could take pixels, too, but a cast in the graph is slower than a table of 256 floats.
    """
    if precision == "int8":
        return FrameInput("int8", "NHWC", "BGR", normalized=False)
    return FrameInput("float32", "NHWC", "BGR", normalized=True)


def pre_quantize(job: Job) -> Sequence[Pass]:
    """Return the passes that fold the frame and, for int8, replace average pools by convolutions.

    The pass raises PosecError for int8 where the means of the channels differ or are no integers.
    """

    def fold_pixels(graph: Graph) -> int:
        means = set(graph.spec.mean)
        exact = len(means) == 1 and float(min(means)).is_integer()
        if job.precision == "int8" and not exact:
            raise PosecError(
                "TFLite int8 needs one whole number as the mean of all channels; "
                f"the spec has {graph.spec.mean}; take float32 or float16, train with such a mean, "
                "or take a board with another engine"
            )
        return fold_frame(frame(job.precision))(graph)

    return (fold_pixels, convert_average_pools) if job.precision == "int8" else (fold_pixels,)


def scheme(job: Job) -> Scheme:
    """Return affine int8 activations, int8 weights per channel, and the scales that TFLite prescribes."""
    return SCHEME


def post_quantize(job: Job) -> Sequence[Pass]:
    """Return the passes that drop redundant clips, fuse float heads, and check the float islands."""
    return drop_redundant_clips, fuse_head_convs, check_float_islands(SCHEME.operators)


def missing() -> str:
    """Return why litert-torch cannot be used here, or an empty string."""
    return next(
        (f"{name} is not installed" for name in ("torch", "litert_torch") if find_spec(name) is None), ""
    )


def check(graph: Graph, job: Job) -> None:
    """Raise PosecError where TFLite lacks an operator. The graph is replayed in torch, not converted."""
    import torch

    from ._litert.replay import Replay

    try:
        with torch.no_grad():
            Replay(graph).eval()(torch.zeros(1, *graph.spec.input_size, 3))
    except PosecError:
        raise
    except (RuntimeError, ValueError, IndexError, TypeError) as error:  # of torch, for unsupported arguments
        raise PosecError(
            f"TFLite: this graph cannot be replayed: {str(error).splitlines()[0]}; export another network"
        ) from error


def lower(graph: Graph, job: Job) -> dict[str, bytes]:
    """Return model.tflite.

    Raises PosecError where TFLite lacks an operator, or the converter changed which operators are float.
    """
    from ._litert.flatbuffer import halve_weights

    content = _convert(graph, job.precision == "int8")
    if job.precision == "float16":
        content = halve_weights(content)
    if job.precision == "int8":
        _check_islands(graph, content)
    return {"model.tflite": content}


def _check_islands(graph: Graph, content: bytes) -> None:
    """Raise PosecError where a file has other float islands than its graph."""
    from ._litert.flatbuffer import count_float_islands

    islands = float_islands(graph.model, SCHEME.operators)
    if (found := count_float_islands(content)) != len(islands):
        layers = [layer_name(node) for island in islands for node in island if node.op_type in WEIGHT_AXIS]
        raise PosecError(
            f"litert-torch {version('litert_torch')} converted this graph to {found} float islands instead "
            f"of {len(islands)} (float layers: {', '.join(layers)}); "
            "take float32 or float16, or keep other layers float"
        )


def plan_details(graph: Graph, job: Job) -> dict[str, Any]:
    """Return nothing: there is no forecast for this engine."""
    return {}


def _convert(graph: Graph, integers: bool) -> bytes:
    from ._litert.convert import convert
    from ._litert.join_transposes import join_transposes
    from ._litert.same_padding import fold_padding

    key = (graph.sha256, integers)
    if key not in _CACHE:
        content = fold_padding(join_transposes(convert(graph, integers)))
        while len(_CACHE) > 1:
            _CACHE.pop(next(iter(_CACHE)))
        _CACHE[key] = content
    return _CACHE[key]
