"""The compiler, from a graph and a target to a bundle. Read this file first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np

from .. import __version__
from ..cost.graph_operators import predicted_cost
from ..cost.table import CostTable
from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..ir.target import Job, Target
from ..passes import prepare
from ..passes.edit.graph_index import named_layers
from ..passes.quantize.float_layers import float_layers, stays_float
from ..passes.quantize.pipeline import lower_graph
from ..runtime.bundle import DECODER, TEMPORAL, Bundle, write_bundle
from .checks import check_request, lower_nominal
from .engine_check import check_engine
from .golden import golden_files, golden_pictures, pack_arrays
from .request import ExportRequest

TOOLS = ("onnx", "onnxsim", "onnxruntime", "numpy", "cv2")


class ExportSettings(TypedDict, total=False):
    """The keyword arguments of `build`, see ExportRequest."""

    out: str | Path
    ranges: Ranges | None
    golden: Sequence[np.ndarray] | None
    keep_float: Collection[str]
    overwrite: bool


def build(
    graph: Graph,
    target: Target,
    precision: str = "float32",
    *,
    progress: Callable[[str], None] = lambda stage: None,
    **settings: Unpack[ExportSettings],
) -> Bundle:
    """Compile a traced graph for a board and write its bundle, or nothing; equal inputs give equal bytes.

    Args:
        graph: of `trace`; not changed.
        target: of `targets.load`.
        precision: "float32", "float16" or "int8".
        progress: called with the name of each stage.
        settings: `out`, `ranges`, `golden`, `keep_float`, `overwrite`: see ExportRequest.

    Raises PosecError where the request cannot be met, before any work where possible.
    """
    return export_bundle(graph, target, ExportRequest(precision=precision, **settings), progress=progress)


def export_bundle(
    graph: Graph,
    target: Target,
    request: ExportRequest,
    *,
    progress: Callable[[str], None] = lambda stage: None,
) -> Bundle:
    """Compile by an ExportRequest: prepare, quantize, lower, make golden pictures, check, write."""
    job, ranges = Job(target, request.precision), request.ranges
    check_request(target, request)
    progress("prepare")
    prepared = prepare(graph)
    progress("rewrite")  # pre_quantize → quantize → post_quantize
    keep_float = named_layers(prepared.model, request.keep_float)
    lowered = lower_graph(prepared, job, ranges, keep_float=keep_float, skip_passes=request.skip_passes)
    progress("lower")
    model = target.backend.lower(lowered, job)
    progress("golden")
    golden = golden_files(prepared, request.golden, request.threads)
    info = {**_describe(prepared, lowered, job, ranges=ranges), "model": next(iter(model))}
    files = {**model, DECODER: pack_arrays(dict(graph.decoder)), **golden}
    files |= {TEMPORAL: pack_arrays(dict(graph.temporal))} if graph.temporal else {}
    progress("check in the engine")
    pictures = golden_pictures(golden)
    check_engine(prepared, lowered, job, info=info, files=files, pictures=pictures, threads=request.threads)
    return write_bundle(request.out, info, files, overwrite=request.overwrite)


def plan(
    graph: Graph,
    target: Target,
    precision: str = "float32",
    *,
    ranges: Ranges | None = None,
    keep_float: Collection[str] = (),
    costs: CostTable | None = None,
) -> dict[str, Any]:
    """Return the plan of a `build`, for JSON: passes run in memory, nothing is converted or written.

    Without ranges, an int8 plan lists the layers that stay float and states that ranges are needed.
    `forecast` is the back end's `plan_details`; `predicted` are instructions by the counted operators in
    `costs`. Raises PosecError as `build` does.
    """
    target.check_precision(precision)
    job, backend, prepared = Job(target, precision), target.backend, prepare(graph)
    keep_float = named_layers(prepared.model, keep_float)
    lowered = lower_graph(prepared, job, ranges, keep_float=keep_float)
    scheme = backend.scheme(job) if precision == "int8" else None
    needs_ranges = scheme is not None and ranges is None
    checked = _check_backend(prepared, job, ranges, keep_float=keep_float)
    missing = [backend.missing(), "int8 needs ranges: posec calibrate" if needs_ranges else ""]
    planned: dict[str, Any] = {"network": graph.spec.name, "target": target.name, "board": target.title}
    planned.update({"precision": precision, "engine": backend.ENGINE, "input": asdict(lowered.frame)})
    planned.update({"scheme": scheme.name if scheme else None, "passes": dict(lowered.history)})
    planned["stays float"] = stays_float(prepared, scheme, keep_float) if scheme else {}
    planned["allowed"] = asdict(target.allowed[precision])
    planned.update({"options": dict(target.options), "facts": dict(target.facts)})
    planned["advice"] = target.advice.get(precision, "")
    planned["needed first"] = [why for why in missing if why]
    # Without Q/DQ, a forecast of int8 would be one of float.
    planned["forecast"] = {} if needs_ranges else backend.plan_details(lowered, job)
    planned["predicted"] = predicted_cost(checked, costs) if costs else {}
    return planned


def _check_backend(prepared: Graph, job: Job, ranges: Ranges | None, *, keep_float: Collection[str]) -> Graph:
    """Return the lowered graph; missing ranges are replaced by nominal ones.

    Raises PosecError where `lower` would refuse the graph.
    """
    lowered = lower_nominal(prepared, job, ranges, keep_float=keep_float)
    if not job.target.backend.missing():
        job.target.backend.check(lowered, job)
    return lowered


def _describe(prepared: Graph, lowered: Graph, job: Job, *, ranges: Ranges | None) -> dict[str, Any]:
    """Return the fields of bundle.json except `model`."""
    target, backend, int8 = job.target, job.target.backend, job.precision == "int8"
    tools = {name: _version(name) for name in dict.fromkeys([*TOOLS, *backend.TOOLS])}
    return {
        "posec": __version__,
        "name": prepared.spec.name,
        "target": target.name,
        "backend": backend.__name__.rsplit(".", 1)[-1],
        "engine": backend.ENGINE,
        "precision": job.precision,
        "frame": asdict(lowered.frame),
        "spec": lowered.spec.to_dict(),
        "scheme": backend.scheme(job).name if int8 else None,
        "float_baseline": f"float32, ONNX Runtime {tools['onnxruntime']}",
        "ranges_sha256": ranges.sha256 if int8 and ranges else None,
        "graph_sha256": prepared.sha256,
        "passes": lowered.history,
        "tools": tools,
        "licence": prepared.licence,
        "allowed": asdict(target.allowed[job.precision]),
        "options": dict(target.options),
        "float_layers": float_layers(lowered) if int8 else [],
    }


def _version(module: str) -> str:
    """Return a tool's version, without importing it where possible: onnxsim takes seconds."""
    try:
        return metadata.version(module)
    except metadata.PackageNotFoundError:  # the distribution has another name, as for cv2
        return str(import_module(module).__version__) if find_spec(module) else "not installed"
