"""Checks of a request before any work: precision, ranges, output folder, tools."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..errors import PosecError
from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..ir.target import Job, Target
from ..passes.quantize.pipeline import lower_graph
from ..runtime.files.bundle_files import DESCRIPTION
from .request import ExportRequest


def check_request(target: Target, request: ExportRequest) -> None:
    """Raise PosecError for a precision the board lacks, missing ranges or tools, or a taken `out`."""
    precision, out = request.precision, request.out
    target.check_precision(precision)
    if precision == "int8" and request.ranges is None:
        raise PosecError(
            "int8 needs ranges: make them with `posec calibrate … -o calibration.json` and pass "
            "--calibration calibration.json"
        )
    if request.keep_float and precision != "int8":
        raise PosecError(
            f"--keep-float is for int8, got {precision}, in which all layers are float; "
            "export int8 or leave it out"
        )
    if not str(out):
        raise PosecError("no folder to write the bundle to; give one with -o")
    path = Path(out)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        if not (path / DESCRIPTION).is_file():
            raise PosecError(f"'{out}' exists and is not a bundle; give another folder")
        if not request.overwrite:
            raise PosecError(f"'{out}' is there already; give another folder, or pass --overwrite")
    if why := target.backend.missing():
        raise PosecError(
            f"target '{target.name}' cannot be compiled for here: {why}; {target.backend.REQUIRES}"
        )


def lower_nominal(
    prepared: Graph, job: Job, ranges: Ranges | None = None, *, keep_float: Collection[str] = ()
) -> Graph:
    """Return the lowered graph; for int8, nominal ranges replace missing ones."""
    if job.precision == "int8" and ranges is None:
        ranges = nominal_ranges(prepared)
    return lower_graph(prepared, job, ranges, keep_float=keep_float)


def nominal_ranges(prepared: Graph) -> Ranges:
    """Return ranges from -1 to 1 for every tensor, with which a plan checks int8 before calibration."""
    names = [
        prepared.input_name,
        *(name for node in prepared.model.graph.node for name in node.output if name),
    ]
    return Ranges(dict.fromkeys(names, (-1.0, 1.0)), "nominal", prepared.sha256, ())
