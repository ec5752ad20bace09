"""Sensitivity, for `posec blame`: which head and which layer of an int8 network lose people or add drift."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..device.comparison.drift_parts import DriftSummary
from ..device.drift import Drift
from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..ir.target import Job, Target
from ..passes import prepare
from ..passes.edit.graph_index import WEIGHT_AXIS, layer_name, named_layers
from ..passes.quantize.float_layers import stays_float
from ..passes.quantize.pipeline import lower_graph
from .float_reference import FloatReference

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class SensitivitySettings:
    """Settings of `measure_sensitivity`.

    Attributes:
        keep_float: names or patterns of layers that stay float throughout.
        layers: measure the layers, which takes about a hundred times as long as the heads.
        float_only: also run each layer in float, all others in int8; else report the network's drift there.
    """

    keep_float: Collection[str] = ()
    layers: bool = True
    float_only: bool = True


@dataclass(frozen=True)
class LayerSensitivity:
    """The drift that one layer causes.

    Attributes:
        layer, operator: its name and operator type.
        int8_only: drift with this layer in int8 and all others in float.
        float_only: drift with this layer in float and all others in int8.
    """

    layer: str
    operator: str
    int8_only: DriftSummary
    float_only: DriftSummary


@dataclass(frozen=True)
class Sensitivity:
    """Where the drift of an int8 network comes from.

    Attributes:
        whole: drift with all layers of the scheme in int8.
        heads: head → drift that remains when this head is taken from the float network.
        layers: by falling drift with this layer alone in int8.
    """

    whole: Drift
    heads: Mapping[str, DriftSummary]
    layers: tuple[LayerSensitivity, ...]

    def rows(self, most: int | None = None) -> list[list[str]]:
        """Return the table, its header first: heads in their order, then up to `most` layers, worst first."""
        rows = [
            ["part", "operator", "int8 only mm", "float only mm", "lost", "invented"],
            _row("all", "", int8_only=None, remaining=summary(self.whole)),
        ]
        rows += [
            _row(f"head {name}", "", int8_only=None, remaining=remaining)
            for name, remaining in self.heads.items()
        ]
        return rows + [
            _row(each.layer, each.operator, int8_only=each.int8_only, remaining=each.float_only)
            for each in self.layers[:most]
        ]


@dataclass(frozen=True)
class _Layers:
    """The layers of a prepared graph that int8 quantizes; those measured: name → operator type."""

    quantized: tuple[str, ...]
    measured: Mapping[str, str]


def measure_sensitivity(
    graph: Graph,
    target: Target,
    ranges: Ranges,
    *,
    frames: Iterable[np.ndarray] | FloatReference,
    settings: SensitivitySettings = SensitivitySettings(),
    progress: Progress | None = None,
) -> Sensitivity:
    """Measure how much each head and each layer contributes to the drift of an int8 network.

    The graph is the one that an export lowers, see `passes.quantize.pipeline`. It runs in ONNX Runtime.
    A layer's drift is measured at the float network's centers: a center in the next cell hides pose drift.

    Args:
        graph: of `trace`.
        target: of `targets.load`; must have int8.
        ranges: of `calibration.collect`.
        frames: BGR pictures (H, W, 3) uint8, held in memory; every layer runs over all, so take a few dozen.
            A FloatReference of the prepared graph has them with their float detections.
        settings: see SensitivitySettings.
        progress: called with (networks run, networks to run).

    Raises PosecError where there are no frames, or the float network finds no people on them.
    """
    prepared, job = prepare(graph), Job(target, "int8")
    keep_float = named_layers(prepared.model, settings.keep_float)
    layers = _layers(prepared, job, keep_float, measure=settings.layers)
    reference = frames if isinstance(frames, FloatReference) else FloatReference(prepared, frames)
    runs = _count(1 + len(layers.measured) * (2 if settings.float_only else 1), progress)

    def heads(kept: Collection[str]) -> list[Mapping[str, np.ndarray]]:
        found = reference.heads(lower_graph(prepared, job, ranges, keep_float={*keep_float, *kept}))
        next(runs)
        return found

    def summarize(kept: Collection[str]) -> DriftSummary:
        found = heads(kept)
        people = reference.drift(found)
        pose = reference.drift(found, float_head="centre")
        return DriftSummary(pose.drift_mm, people.people_lost, people.people_invented)

    whole = heads(())
    everything = reference.drift(whole)
    measured = []
    for name, operator in layers.measured.items():
        int8_only = summarize([other for other in layers.quantized if other != name])
        float_only = summarize([name]) if settings.float_only else summary(everything)
        measured.append(LayerSensitivity(name, operator, int8_only, float_only))
    measured.sort(key=lambda each: (-each.int8_only.drift_mm, each.layer))
    remaining = {name: summary(reference.drift(whole, float_head=name)) for name in graph.spec.head_names}
    return Sensitivity(everything, remaining, tuple(measured))


def _layers(prepared: Graph, job: Job, keep_float: Collection[str], *, measure: bool) -> _Layers:
    scheme = job.target.backend.scheme(job)
    left = stays_float(prepared, scheme, keep_float)
    operators = {
        layer_name(node): node.op_type
        for node in prepared.model.graph.node
        if node.op_type in scheme.operators and layer_name(node) not in left
    }
    weighted = {name: operator for name, operator in operators.items() if operator in WEIGHT_AXIS}
    return _Layers(tuple(operators), weighted if measure else {})


def _count(total: int, progress: Progress | None) -> Iterator[None]:
    """Yield `total` times, and report each time."""
    for done in range(1, total + 1):
        if progress:
            progress(done, total)
        yield


def summary(drift: Drift) -> DriftSummary:
    """Return the three figures of a drift that have limits."""
    return DriftSummary(drift.drift_mm, drift.people_lost, drift.people_invented)


def _row(part: str, operator: str, *, int8_only: DriftSummary | None, remaining: DriftSummary) -> list[str]:
    people = [f"{100 * fraction:.1f} %" for fraction in (remaining.people_lost, remaining.people_invented)]
    return [
        part,
        operator,
        f"{int8_only.drift_mm:.2f}" if int8_only else "",
        f"{remaining.drift_mm:.2f}",
        *people,
    ]
