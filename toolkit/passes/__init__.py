"""Rewrites of a Graph: one per file, each a function Graph → number of places it rewrote, run in the order of a plain list."""

from __future__ import annotations

import numpy as np

from ..errors import PosecError
from ..ir.graph import Graph, Pass, check_heads, run_passes
from ..runtime.engines.onnxruntime import cpu_options, library
from .prepare.batch_norm import fold_batch_norm
from .prepare.constants import inline_constants
from .prepare.conv_rows import convolve_rows_as_maps
from .prepare.expand_depthwise import spread_channels
from .prepare.hard_swish import express_hard_swish
from .prepare.identities import drop_identities
from .prepare.names import name_tensors
from .prepare.opset import lower_opset
from .prepare.simplify import simplify
from .prepare.split_heads import split_heads
from .quantize.equalize import equalize

# What every graph goes through, whatever the board; ranges belong to the tensors of its result.
PREPARE: tuple[Pass, ...] = (
    inline_constants,
    drop_identities,
    express_hard_swish,
    lower_opset,
    convolve_rows_as_maps,
    fold_batch_norm,
    simplify,
    split_heads,
    spread_channels,
    equalize,
    name_tensors,
)
# Rewrites reorder float32 sums; heads hardly ever exceed 4 in their units.
_TOLERANCE = 1e-3


def prepare(graph: Graph) -> Graph:
    """Return the graph as calibration, every back end and verification take it; preparing twice changes nothing.

    Raises PosecError where a pass fails, or where the heads of noise differ before and after.
    """
    prepared = graph.copy()
    run_passes(prepared, PREPARE)
    check_heads(prepared)
    before, after = _heads_of_noise(graph), _heads_of_noise(prepared)
    for head in after:
        if not (difference := float(np.abs(before[head] - after[head]).max())) <= _TOLERANCE:
            raise PosecError(
                f"preparing this graph changed head '{head}' by {difference:.3g}; export the network with another exporter or opset"
            )
    return prepared


def _heads_of_noise(graph: Graph) -> dict[str, np.ndarray]:
    onnxruntime = library()
    options = cpu_options(onnxruntime, threads=1)
    noise = np.random.default_rng(0).normal(0, 0.5, (1, 3, *graph.spec.input_size)).astype(np.float32)
    names = {name: tensor for name, (tensor, _) in graph.heads.items()}
    try:
        session = onnxruntime.InferenceSession(
            graph.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        heads = session.run(list(names.values()), {graph.input_name: noise})
    except Exception as error:  # ONNX Runtime raises classes of its own, without a common parent
        raise PosecError(
            f"ONNX Runtime cannot run network '{graph.spec.name}': {str(error).splitlines()[0]}; export it again"
        ) from error
    return dict(zip(names, heads, strict=True))
