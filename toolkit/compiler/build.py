"""The compiler: a graph and a target go in, a bundle comes out. Read this file first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__
from ..ir.graph import Graph, check_heads, run_passes
from ..ir.ranges import Ranges
from ..ir.target import Job, Target
from ..passes import prepare
from ..passes.edit.graph_index import named_layers
from ..passes.quantize.bias_correction import correct_biases
from ..passes.quantize.fuse_conv_sums import join_sums as join_parts
from ..passes.quantize.insert_qdq import float_layers, insert_qdq, stays_float
from ..runtime.bundle import DECODER, Bundle, write_bundle
from .checks import check_ranges, check_request, nominal_ranges
from .engine_check import check_engine
from .golden import golden_files, golden_pictures, pack_arrays

TOOLS = ("onnx", "onnxsim", "onnxruntime", "numpy", "cv2")


def build(graph: Graph, target: Target, precision: str = "float32", ranges: Ranges | None = None, out: str | Path = "",
          golden: Sequence[np.ndarray] | None = None, keep_float: Collection[str] = (), overwrite: bool = False,
          progress: Callable[[str], None] = lambda step: None) -> Bundle:  # fmt: skip
    """Compile a traced graph for a board and write the bundle, whole or not at all; equal inputs give equal bytes.

    Args:
        graph: of `trace`; not changed.
        target: of `targets.load`.
        precision: "float32", "float16", "bfloat16" or "int8", if the target and this machine have it.
        ranges: of `calibration.collect`; needed for int8.
        out: folder to write.
        golden: BGR pictures (H, W, 3) uint8 to carry along with their people; None takes a few that are shipped.
        keep_float: names of layers that int8 is to leave alone, see `passes.edit.graph_index.named_layers`, beside those that it leaves anyway.
        overwrite: replace a bundle that is there.
        progress: called with a word per step.

    Raises PosecError where the request cannot be met, before any work where that can be known.
    """
    check_request(target, precision, ranges, keep_float, out, overwrite)
    progress("prepare")
    prepared = prepare(graph)
    progress("rewrite")
    job, compiled = _rewrite(prepared, target, precision, ranges, named_layers(prepared.model, keep_float))
    progress("lower")
    model = target.backend.lower(compiled, job)
    progress("golden")
    carried = golden_files(prepared, golden)
    info = {**_describe(prepared, compiled, job, ranges), "model": next(iter(model))}
    files = {**model, DECODER: pack_arrays(dict(graph.decoder)), **carried}
    progress("check in the engine")
    check_engine(prepared, compiled, job, info=info, files=files, pictures=golden_pictures(carried))
    return write_bundle(out, info, files, overwrite=overwrite)


def plan(
    graph: Graph,
    target: Target,
    precision: str = "float32",
    ranges: Ranges | None = None,
    keep_float: Collection[str] = (),
) -> dict[str, Any]:
    """Return what `build` would do, as JSON takes it: the steps are taken in memory, nothing is lowered or written.

    Without ranges the plan of int8 tells what stays float, and that ranges are needed. `forecast` is what the back end's
    `plan_details` says of the board, where it has one. Raises PosecError as `build` does.
    """
    target.check_precision(precision)
    prepared = prepare(graph)
    keep_float = named_layers(prepared.model, keep_float)
    job, compiled = _rewrite(prepared, target, precision, ranges, keep_float)
    scheme = target.backend.scheme(job) if precision == "int8" else None
    _refuse_early(prepared, target, precision, ranges, keep_float)
    missing = [
        why
        for why in (
            target.backend.missing(),
            "int8 needs ranges: posec calibrate" if scheme and not ranges else "",
        )
        if why
    ]
    # Without its integers a graph tells nothing of an int8 plan.
    details = None if scheme and not ranges else getattr(target.backend, "plan_details", None)
    forecast = details(compiled, job) if details else {}
    return {
        "network": graph.spec.name, "target": target.name, "board": target.title, "precision": precision,
        "engine": target.backend.ENGINE, "input": asdict(compiled.frame), "scheme": scheme.name if scheme else None,
        "passes": dict(compiled.history), "stays float": stays_float(prepared, scheme, keep_float) if scheme else {},
        "allowed": asdict(target.allowed[precision]), "options": dict(target.options), "facts": dict(target.facts),
        "advice": target.advice.get(precision, ""), "needed first": missing, "forecast": forecast,
    }  # fmt: skip


def _refuse_early(
    prepared: Graph, target: Target, precision: str, ranges: Ranges | None, keep_float: Collection[str]
) -> None:
    """Raise PosecError where `build` would: nominal ranges stand in for missing ones, and the back end checks the result."""
    if precision == "int8" and ranges is None:
        ranges = nominal_ranges(prepared)
    job, compiled = _rewrite(prepared, target, precision, ranges, keep_float)
    check = getattr(target.backend, "check", None)
    if check is not None and not target.backend.missing():
        check(compiled, job)


def _rewrite(
    prepared: Graph, target: Target, precision: str, ranges: Ranges | None, keep_float: Collection[str]
) -> tuple[Job, Graph]:
    """Return the job, and the graph after the back end's passes and, given ranges, the integers that its scheme wants."""
    job, compiled = Job(target, precision), prepared.copy()
    before, after = list(target.backend.passes(job)), list(target.backend.finish(job))
    if precision == "int8" and ranges is not None:
        check_ranges(ranges, prepared)
        scheme, tensors, means = target.backend.scheme(job), dict(ranges.tensors), ranges.means

        def correct(graph: Graph) -> int:
            return correct_biases(graph, means, scheme, keep_float)

        def join_sums(graph: Graph) -> int:
            return join_parts(graph, tensors, keep_float) if scheme.joined_sums else 0

        def quantize(graph: Graph) -> int:
            return insert_qdq(graph, tensors, scheme, keep_float)

        # Means belong to the tensors of the prepared graph, so biases are corrected before a back end folds the frame.
        before, after = [correct, *before], [join_sums, quantize, *after]
    run_passes(compiled, [*before, *after])
    check_heads(compiled)
    return job, compiled


def _describe(prepared: Graph, compiled: Graph, job: Job, ranges: Ranges | None) -> dict[str, Any]:
    """Return the fields of bundle.json but the model's name."""
    target, back_end, integers = job.target, job.target.backend, job.precision == "int8"
    tools = {name: _version(name) for name in dict.fromkeys([*TOOLS, *back_end.TOOLS])}
    return {
        "posec": __version__, "name": prepared.spec.name, "target": target.name, "backend": back_end.__name__.rsplit(".", 1)[-1],
        "engine": back_end.ENGINE, "precision": job.precision, "frame": asdict(compiled.frame), "spec": compiled.spec.to_dict(),
        "scheme": back_end.scheme(job).name if integers else None, "float_baseline": f"float32, ONNX Runtime {tools['onnxruntime']}",
        "ranges_sha256": ranges.sha256 if integers and ranges else None, "graph_sha256": prepared.sha256, "passes": compiled.history,
        "tools": tools, "licence": prepared.licence, "allowed": asdict(target.allowed[job.precision]), "options": dict(target.options),
        "float_layers": float_layers(compiled) if integers else [],
    }  # fmt: skip


def _version(module: str) -> str:
    """Return a tool's version, where that can be without importing it: onnxsim takes seconds."""
    try:
        return metadata.version(module)
    except metadata.PackageNotFoundError:  # distributed under another name, as cv2 is
        return str(import_module(module).__version__) if find_spec(module) else "not installed"
