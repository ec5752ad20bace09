"""Blame: which head and which layer of an int8 network loses the people or the millimetres."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..device.drift import Drift, Repair
from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..ir.target import Scheme
from ..passes import prepare
from ..passes.edit.graph_index import WEIGHT_AXIS, layer_name, named_layers
from ..passes.quantize.insert_qdq import stays_float
from .simulation import Judge, quantized

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LayerBlame:
    """What one layer costs.

    Attributes:
        layer, operator: its name and operator type.
        alone: what is wrong when this layer alone computes in integers.
        spared: what is still wrong when this layer alone computes in float.
    """

    layer: str
    operator: str
    alone: Repair
    spared: Repair


@dataclass(frozen=True)
class Blame:
    """Where an int8 network differs from its float twin.

    Attributes:
        whole: what is wrong with all layers of the scheme in integers.
        heads: head → what is still wrong when this head is taken from the float network.
        layers: worst first, by the millimetres that they cost alone.
    """

    whole: Drift
    heads: Mapping[str, Repair]
    layers: tuple[LayerBlame, ...]

    def rows(self, most: int | None = None) -> list[list[str]]:
        """Return the table, its header first: heads in their order, then up to `most` layers, worst first."""
        rows = [
            ["part", "operator", "alone mm", "spared mm", "lost", "invented"],
            _row("all", "", None, repair(self.whole)),
        ]
        rows += [_row(f"head {name}", "", None, remains) for name, remains in self.heads.items()]
        return rows + [
            _row(each.layer, each.operator, each.alone, each.spared) for each in self.layers[:most]
        ]


def blame(graph: Graph, ranges: Ranges, scheme: Scheme, frames: Iterable[np.ndarray], keep_float: Collection[str] = (),
          layers: bool = True, spare: bool = True, progress: Progress | None = None) -> Blame:  # fmt: skip
    """Return which heads and layers of the graph, quantized by a scheme, make the people differ from the float network's.

    The integers run in ONNX Runtime. A layer's millimetres are measured at the float network's centres, so that a centre
    which moves to the next cell does not hide what the layer does to the pose.

    Args:
        graph: as traced or prepared.
        ranges: of `calibration.collect`.
        scheme: of a back end.
        frames: BGR pictures (H, W, 3) uint8; they are held in memory, and every layer runs over them: a few dozen do.
        keep_float: layers that stay float throughout.
        layers: False leaves out the layers, which take a hundred times as long as the heads.
        spare: False does without the runs with one layer in float, and reports the whole's drift instead.
        progress: is told (networks run, networks to run).

    Raises PosecError where there are no frames, or the float network finds nobody on them.
    """
    prepared = prepare(graph)
    operators = {
        layer_name(node): node.op_type
        for node in prepared.model.graph.node
        if node.op_type in scheme.operators
    }
    keep_float = named_layers(prepared.model, keep_float)
    left = stays_float(prepared, scheme, keep_float)
    integer = [name for name in operators if name not in left]
    blamed = [name for name in integer if operators[name] in WEIGHT_AXIS] if layers else []
    judge, done, rounds = Judge(prepared, frames), 0, 1 + len(blamed) * (2 if spare else 1)

    def heads(kept: Collection[str]) -> list[Mapping[str, np.ndarray]]:
        nonlocal done
        found = judge.heads(quantized(prepared, ranges, scheme, {*keep_float, *kept}))
        done += 1
        if progress:
            progress(done, rounds)
        return found

    def verdict(kept: Collection[str]) -> Repair:
        found = heads(kept)
        people = judge.drift(found)
        return Repair(judge.drift(found, "centre").drift_mm, people.people_lost, people.people_invented)

    whole = heads(())
    everything = judge.drift(whole)
    found = []
    for name in blamed:
        alone = verdict([other for other in integer if other != name])
        spared = verdict([name]) if spare else repair(everything)
        found.append(LayerBlame(name, operators[name], alone, spared))
    found.sort(key=lambda each: (-each.alone.drift_mm, each.layer))
    return Blame(
        everything, {name: repair(judge.drift(whole, name)) for name in graph.spec.head_names}, tuple(found)
    )


def repair(drift: Drift) -> Repair:
    """Return the three figures of a drift that are judged."""
    return Repair(drift.drift_mm, drift.people_lost, drift.people_invented)


def _row(part: str, operator: str, alone: Repair | None, spared: Repair) -> list[str]:
    people = [f"{100 * fraction:.1f} %" for fraction in (spared.people_lost, spared.people_invented)]
    return [part, operator, f"{alone.drift_mm:.2f}" if alone else "", f"{spared.drift_mm:.2f}", *people]
