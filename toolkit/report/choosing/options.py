"""Options: the results to choose from, each with its machine and the values of every measure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...device.result import Result, row_of
from ...evaluation.paired import Difference, difference_of
from .measures import Measure

_MACHINE_FACTS = ("board", "cpu", "usable_cpus", "power_mode")
NO_MACHINE = "not measured"
# Figure of accuracy → points of 1, and its name; a loss is of the first that both networks have.
_LOSSES = {"pck_rel150": (1.0, "PCK_rel@150"), "oks50": (100.0, "OKS.5")}


@dataclass(frozen=True)
class Option:
    """A result to choose.

    Attributes:
        result: the measured bundle.
        machine: the name of the machine that it was measured on.
        values: key of a measure → its value; missing ones have no key.
        ratio: its latency over that of float32 of the same network, target and run, or None.
        loss: points of PCK_rel@150, or of OKS.5 on photographs, lost against the float network.
    """

    result: Result
    machine: str
    values: Mapping[str, float] = field(default_factory=dict)
    ratio: float | None = None
    loss: Difference | None = None

    @property
    def name(self) -> str:
        """Target and precision, or the title of the result."""
        return self.result.name

    @property
    def precision(self) -> str:
        """Precision of the bundle."""
        return str(self.result.bundle["precision"])

    @property
    def size(self) -> str:
        """Input size of the network as "height×width"; empty where it is not known."""
        size = self.result.bundle.get("input_size") or ()
        return "×".join(str(side) for side in size)


def options_of(results: Sequence[Result], measures: Sequence[Measure], protocol: str) -> list[Option]:
    """Return an option per result, in their order; losses are on the labelled pictures of `protocol`."""
    options = []
    for result in results:
        values = {measure.key: measure.read(result) for measure in measures}
        ratio = float_ratio(result, results)
        options.append(
            Option(
                result,
                machine_name(result),
                {key: value for key, value in values.items() if value is not None and math.isfinite(value)},
                None if ratio is None else float(ratio["of_medians"]),
                _loss(result, results, protocol),
            )
        )
    return options


def machine_name(result: Result) -> str:
    """Return board, processor, number of processors and power mode; results of equal names share a plot."""
    if not result.bench:
        return NO_MACHINE
    machine: Mapping[str, Any] = result.bench.get("machine") or {}
    board, cpu, usable, mode = (machine.get(name) for name in _MACHINE_FACTS)
    parts = list(dict.fromkeys(str(part) for part in (board, cpu) if part))
    if usable:
        parts.append(f"{usable} processors")
    if mode:
        parts.append(str(mode))
    return ", ".join(parts) or "unknown machine"


def float_ratio(result: Result, results: Sequence[Result]) -> Mapping[str, float] | None:
    """Return the latency of a result over that of float32 of the same network, target and run."""
    if not result.bench or result.bundle["precision"] == "float32":
        return None
    other = float_result(result, results)
    if other is None or not other.bench or other.bench["run"] != result.bench["run"]:
        return None
    ratio: Mapping[str, float] | None = result.bench["ratios"].get(other.bench["bundle"])
    return ratio


def float_result(result: Result, results: Sequence[Result]) -> Result | None:
    """Return the float32 result of the same network and target, of the same run if there is one."""
    fields = ("target", "name", "graph_sha256", "input_size")
    same = [
        other
        for other in results
        if other.bench
        and other.bundle["precision"] == "float32"
        and all(other.bundle.get(name) == result.bundle.get(name) for name in fields)
    ]
    run = (result.bench or {}).get("run")
    return next((other for other in same if other.bench and other.bench["run"] == run), None) or next(
        iter(same), None
    )


def _loss(result: Result, results: Sequence[Result], protocol: str) -> Difference | None:
    """Return the loss; the float network's own rows in the result go before another result of float32."""
    floating = row_of(result.float_accuracy, protocol)
    if not floating:
        other = float_result(result, results)
        floating = other.row(protocol) if other else {}
    for measure, (scale, name) in _LOSSES.items():
        if found := difference_of(floating, result.row(protocol), measure):
            return found.scaled(scale, f"{name} on {protocol}")
    return None
