"""TFLite for Arm boards: the graph, with its Q/DQ, replayed as torch operations and converted by litert-torch."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from toolkit.errors import PosecError
from toolkit.ir.graph import Graph, Pass
from toolkit.ir.scheme import Activations, Exceptions, Scheme
from toolkit.ir.target import Job
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

# TFLite's integer kernels for these move or average integers, and never rescale them.
_SAME_SCALE = ("Resize", "AveragePool", "MaxPool", "Concat", "Transpose", "Reshape")
_FIXED = {"Sigmoid": (1 / 256, -128), "Tanh": (1 / 128, 0)}
SCHEME = Scheme(
    name="s8s8-affine-per-channel",
    operators=("Conv", "Add", "Mul", "GlobalAveragePool", "Sigmoid", "Tanh", *_SAME_SCALE),
    activations=Activations("int8", same_scale=_SAME_SCALE, fixed=_FIXED),
    # Key points tolerate integers, and save time.
    exceptions=Exceptions(integer_heads=KEYPOINT_HEADS),
    fuse_conv_sums=True,
)

# Boards of one family get the same file, and a conversion takes seconds: the last two are kept, by graph and kind.
_converted: dict[tuple[str, bool], bytes] = {}


def frame(precision: str) -> FrameInput:
    """Return signed pixels for int8, which are the network's first integers; normalized numbers else.

    A float model could take pixels, too, but casting every pixel is slower than a table of 256 numbers.
    """
    if precision == "int8":
        return FrameInput("int8", "NHWC", "BGR", normalized=False)
    return FrameInput("float32", "NHWC", "BGR", normalized=True)


def pre_quantize(job: Job) -> Sequence[Pass]:
    """Fold the frame; for int8, average pools become convolutions as well."""

    def fold_pixels(graph: Graph) -> int:
        means = set(graph.spec.mean)
        exact = len(means) == 1 and float(min(means)).is_integer()
        if job.precision == "int8" and not exact:
            raise PosecError(
                "TFLite int8 needs one whole number as the mean of all channels, so that pixels are integers of the network; the spec has "
                f"{graph.spec.mean}; take float32 or float16 here, train with such a mean, or take a board of another engine"
            )
        return fold_frame(frame(job.precision))(graph)

    return (fold_pixels, convert_average_pools) if job.precision == "int8" else (fold_pixels,)


def scheme(job: Job) -> Scheme:
    """Return affine int8 activations, int8 weights per channel, and the scales that TFLite fixes."""
    return SCHEME


def post_quantize(job: Job) -> Sequence[Pass]:
    """Drop what saturation does anyway, compute float heads at once; count the float islands, and refuse those that no head asked for."""
    return drop_redundant_clips, fuse_head_convs, check_float_islands(SCHEME.operators)


def missing() -> str:
    """Return why litert-torch cannot be used here, or an empty string."""
    return next(
        (f"{name} is not installed" for name in ("torch", "litert_torch") if find_spec(name) is None), ""
    )


def check(graph: Graph, job: Job) -> None:
    """Raise PosecError where an operator cannot be expressed in TFLite: the graph is replayed, and nothing is converted."""
    import torch

    from ._litert.replay import Replay

    try:
        with torch.no_grad():
            Replay(graph).eval()(torch.zeros(1, *graph.spec.input_size, 3))
    except PosecError:
        raise
    except (
        RuntimeError,
        ValueError,
        IndexError,
        TypeError,
    ) as error:  # of torch, for arguments that it does not take
        raise PosecError(
            f"TFLite: this graph cannot be replayed: {str(error).splitlines()[0]}; export another network"
        ) from error


def lower(graph: Graph, job: Job) -> dict[str, bytes]:
    """Return model.tflite. Raises PosecError where TFLite cannot express an operator, or the converter left float what should be integer."""
    from ._litert.flatbuffer import count_float_islands, halve_weights

    content = _convert(graph, job.precision == "int8")
    if job.precision == "float16":
        content = halve_weights(content)
    if job.precision == "int8" and (left := count_float_islands(content)) != (
        wanted := len(float_islands(graph.model, SCHEME.operators))
    ):
        raise PosecError(
            f"the converter made {left} float islands of {wanted}; this litert-torch is another than was tested with: {REQUIRES}"
        )
    return {"model.tflite": content}


def plan_details(graph: Graph, job: Job) -> dict[str, Any]:
    """Return nothing: the plan holds all that is known."""
    return {}


def _convert(graph: Graph, integers: bool) -> bytes:
    from ._litert.convert import convert
    from ._litert.moves import join_moves

    asked = (graph.sha256, integers)
    if asked not in _converted:
        content = join_moves(convert(graph, integers))
        while len(_converted) > 1:
            _converted.pop(next(iter(_converted)))
        _converted[asked] = content
    return _converted[asked]
