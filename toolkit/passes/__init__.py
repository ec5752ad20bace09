"""Passes: rewrites of a Graph, one per file; each changes it in place and returns the number of rewrites."""

from __future__ import annotations

import numpy as np

from ..errors import PosecError
from ..ir.graph import Graph, Pass, Stage, check_heads, check_stage, run_passes
from ..runtime.engines.onnxruntime import cpu_options, library
from .opset.lower_opset import lower_opset
from .prepare.batch_norm import fold_batch_norm
from .prepare.constants import inline_constants
from .prepare.conv_rows import convolve_rows_as_maps
from .prepare.expand_depthwise import expand_depthwise
from .prepare.hard_swish import decompose_hard_swish
from .prepare.identities import drop_identities
from .prepare.names import name_tensors
from .prepare.simplify import simplify
from .prepare.split_heads import split_heads
from .quantize.equalize import equalize_convs

# For every board, in this order. Ranges belong to the tensors of the result.
PREPARE: tuple[Pass, ...] = (
    inline_constants,
    drop_identities,
    decompose_hard_swish,
    lower_opset,
    convolve_rows_as_maps,
    fold_batch_norm,
    simplify,
    split_heads,
    expand_depthwise,
    equalize_convs,
    name_tensors,
)
# Rewrites reorder float32 sums; heads seldom exceed 4 in their units.
_TOLERANCE = 1e-3


def prepare(graph: Graph) -> Graph:
    """Return the prepared graph, the input of calibration, quantization and every back end.

    A prepared graph is returned as it is.
    Raises PosecError where the graph is quantized or lowered, a pass fails, or the heads change on noise.
    """
    if graph.stage is Stage.PREPARED:
        return graph
    check_stage(graph, "prepare", (Stage.TRACED,))
    prepared = graph.copy()
    run_passes(prepared, PREPARE)
    check_heads(prepared)
    before, after = _heads_on_noise(graph), _heads_on_noise(prepared)
    for head in after:
        if not (difference := float(np.abs(before[head] - after[head]).max())) <= _TOLERANCE:
            raise PosecError(
                f"preparing this graph changed head '{head}' by {difference:.3g}; "
                "export the network with another exporter or opset"
            )
    prepared.stage = Stage.PREPARED
    return prepared


def _heads_on_noise(graph: Graph) -> dict[str, np.ndarray]:
    """Return head → values on a fixed random input."""
    onnxruntime = library()
    options = cpu_options(onnxruntime, threads=1)
    noise = np.random.default_rng(0).normal(0, 0.5, (1, 3, *graph.spec.input_size)).astype(np.float32)
    names = {name: tensor for name, (tensor, _) in graph.heads.items()}
    try:
        session = onnxruntime.InferenceSession(
            graph.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        heads = session.run(list(names.values()), {graph.input_name: noise})
    except Exception as error:  # its exceptions have no common base class
        raise PosecError(
            f"ONNX Runtime cannot run network '{graph.spec.name}': {str(error).splitlines()[0]}; "
            "export it again"
        ) from error
    return dict(zip(names, heads, strict=True))
