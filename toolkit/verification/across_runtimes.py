"""Compare runtimes: the people of int8 bundles from one calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..compiler.build import build
from ..device.drift import Drift, measure_drift
from ..ir.float_engine import float_estimator
from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..ir.target import Target
from ..passes import prepare
from ..runtime import load
from ..runtime.engines import EngineError
from ..runtime.pose import PoseFrame

FLOAT = "float32"


@dataclass(frozen=True)
class RuntimeComparison:
    """The drift between each two runtimes; true where all are within their limits of float32.

    Attributes:
        engines: target → engine and version that ran its bundle here.
        drifts: (target, other target or "float32") → drift of its people from the other's, by its limits.
        missing: target → why its bundle could not be built or run.
    """

    engines: Mapping[str, str]
    drifts: Mapping[tuple[str, str], Drift]
    missing: Mapping[str, str]

    def __bool__(self) -> bool:
        return all(drift for (_, other), drift in self.drifts.items() if other == FLOAT)

    def rows(self) -> list[list[str]]:
        """Return the table, header first. Cells: mean and 95th percentile in mm, people lost and invented."""
        rows = [["target", "run by", *(f"to {name}" for name in (FLOAT, *self.engines))]]
        for name, engine in self.engines.items():
            cells = [_cell(self.drifts.get((name, other))) for other in (FLOAT, *self.engines)]
            rows.append([name, engine, *cells])
        return rows + [
            [name, f"missing: {why}", *[""] * (1 + len(self.engines))] for name, why in self.missing.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return lists, numbers and strings for a JSON file."""
        pairs = [
            {"target": name, "against": other, **drift.to_dict()}
            for (name, other), drift in self.drifts.items()
        ]
        return {"engines": dict(self.engines), "missing": dict(self.missing), "pairs": pairs}


def across_runtimes(
    graph: Graph,
    targets: Sequence[Target],
    ranges: Ranges,
    *,
    frames: Iterable[np.ndarray],
    folder: str | Path,
    threads: int | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> RuntimeComparison:
    """Build the int8 bundle of every target from one set of ranges, run all here, and compare their people.

    ONNX Runtime runs a Jetson's graph where TensorRT is not installed. `missing` names targets without their
    back end or engine.

    Args:
        graph: of `trace`.
        targets: of `targets.load`.
        ranges: of `calibration.collect`.
        frames: BGR pictures (H, W, 3) uint8 with people in them.
        folder: gets one bundle per target, named after it.
        threads: of the engines.
        progress: called with a line per target.

    Raises PosecError where the float network finds no people, or a target does not have int8.
    """
    graph = prepare(graph)
    pictures, skeleton = list(frames), graph.spec.skeleton
    floating = float_estimator(graph, threads)
    people = {FLOAT: [floating(picture) for picture in pictures]}
    engines: dict[str, str] = {}
    missing: dict[str, str] = {}
    for target in targets:
        target.check_precision("int8")
        if why := target.backend.missing():
            missing[target.name] = why
            continue
        progress(f"{target.name}: building, and finding people on {len(pictures)} frames")
        try:
            build(
                graph,
                target,
                "int8",
                ranges=ranges,
                out=Path(folder) / target.name,
                golden=[],
                overwrite=True,
            )
            estimator = load(str(Path(folder) / target.name), threads)
        except EngineError as error:  # it is not installed
            missing[target.name] = str(error)
            continue
        people[target.name] = [estimator(picture) for picture in pictures]
        described = estimator.engine.describe()
        engines[target.name] = f"{described['engine']} {described['version']}"
    limits = {target.name: _limits(target) for target in targets}
    drifts = {
        (name, other): measure_drift(people[name], people[other], skeleton, allowed=limits[name])
        for name in engines
        for other in people
        if _compared(name, other, people)
    }
    return RuntimeComparison(engines, drifts, missing)


def _compared(name: str, other: str, people: Mapping[str, Sequence[PoseFrame]]) -> bool:
    """Return whether a pair has a drift: two different runtimes, of which the second found people."""
    return name != other and (other == FLOAT or any(len(found) for found in people[other]))


def _limits(target: Target) -> dict[str, float]:
    allowed = target.allowed["int8"]
    return {
        "drift_mm": allowed.drift_mm,
        "people_lost": allowed.people_lost,
        "people_invented": allowed.people_invented,
    }


def _cell(drift: Drift | None) -> str:
    if drift is None:
        return "-"
    people = f"-{len(drift.lost)} +{len(drift.invented)} of {drift.people}"
    return f"{drift.drift_mm:.2f} / {drift.drift_p95_mm:.2f} mm, {people}"
