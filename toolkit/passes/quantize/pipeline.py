"""The one order of quantization, of every int8 graph that is exported, judged, searched or trained."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable

from ...errors import PosecError
from ...ir.graph import Graph, Pass, Stage, check_heads, check_stage, run_passes
from ...ir.ranges import Ranges
from ...ir.scheme import Scheme
from ...ir.target import Job
from .bias_correction import correct_biases
from .fuse_conv_sums import fuse_conv_sums
from .insert_qdq import insert_qdq

# Names of passes to leave out, separated by commas: for debugging. The history of the bundle records them.
SKIP_VARIABLE = "POSEC_SKIP_PASSES"
_REQUIRED = ("insert_qdq",)


def lower_graph(
    prepared: Graph,
    job: Job,
    ranges: Ranges | None = None,
    *,
    keep_float: Collection[str] = (),
    skip_passes: Collection[str] = (),
    for_training: bool = False,
) -> Graph:
    """Return the graph that the back end's `lower` takes; `prepared` is not changed.

    The order: correct biases, the back end's `pre_quantize`, fuse sums of convolutions, insert Q/DQ,
    the back end's `post_quantize`. Float precisions, and int8 without ranges, run only the back end's passes.

    Args:
        prepared: of `passes.prepare`.
        job: target and precision.
        ranges: collected on `prepared`.
        keep_float: names of layers, without wildcards, that int8 leaves float beside those of the scheme.
        skip_passes: names of passes to leave out, beside those in the environment variable POSEC_SKIP_PASSES.
        for_training: weights stay float in front of Q/DQ, and biases float, see `Scheme.for_training`.

    Raises PosecError where the ranges belong to another graph, or a pass refuses it or changes the heads.
    """
    check_stage(prepared, "lower_graph", (Stage.PREPARED,))
    graph, backend = prepared.copy(), job.target.backend
    before, quantize = list(backend.pre_quantize(job)), list[Pass]()
    if job.precision == "int8" and ranges is not None:
        check_ranges(ranges, prepared)
        scheme = backend.scheme(job)
        scheme = scheme.for_training() if for_training else scheme
        correct, *quantize = _quantization(ranges, scheme, keep_float)
        # Means belong to tensors of the prepared graph: correct biases before preprocessing is folded.
        before = [correct, *before]
    passes = [*before, *quantize, *backend.post_quantize(job)]
    run_passes(graph, passes, {*skip_passes, *_skipped_by_environment(passes)})
    check_heads(graph)
    graph.stage = Stage.LOWERED
    return graph


def check_ranges(ranges: Ranges, prepared: Graph) -> None:
    """Raise PosecError where ranges were collected on another graph than this prepared one."""
    if ranges.graph_sha256 != prepared.sha256:
        raise PosecError(
            f"these ranges belong to another network (graph {ranges.graph_sha256[:12]}, "
            f"this is {prepared.sha256[:12]}); calibrate again"
        )


def _quantization(ranges: Ranges, scheme: Scheme, keep_float: Collection[str]) -> list[Pass]:
    """Return the passes of quantization proper, bound to their settings, in order."""
    tensors = dict(ranges.tensors)  # fuse_conv_sums adds to it

    def correct(graph: Graph) -> int:
        return correct_biases(graph, ranges.means, scheme, keep_float=keep_float)

    def fuse(graph: Graph) -> int:
        return fuse_conv_sums(graph, tensors, keep_float) if scheme.fuse_conv_sums else 0

    def insert(graph: Graph) -> int:
        return insert_qdq(graph, tensors, scheme, keep_float=keep_float)

    correct.__name__, fuse.__name__, insert.__name__ = "correct_biases", "fuse_conv_sums", "insert_qdq"
    return [correct, fuse, insert]


def _skipped_by_environment(passes: Iterable[Pass]) -> set[str]:
    """Return the names in POSEC_SKIP_PASSES. Raises PosecError for an unknown or a required pass."""
    names = {name.strip() for name in os.environ.get(SKIP_VARIABLE, "").split(",")} - {""}
    known = [run.__name__ for run in passes if run.__name__ not in _REQUIRED]
    if unknown := sorted(names - set(known)):
        raise PosecError(
            f"{SKIP_VARIABLE} names '{unknown[0]}', which cannot be skipped; take some of {', '.join(known)}"
        )
    return names
