"""The choice per machine: the fastest option within all limits, its runner-up, and what int8 lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...device.result import Result
from .budgets import Budgets, Gap, gaps
from .front import pareto_front
from .measures import BUDGET_MS, DRIFT_MM, PCK, Measure, accuracy_key, protocols_of
from .options import NO_MACHINE, Option
from .sentences import int8_sentence, recommendation, runner_up_sentence

AS_FAST = 0.05  # MLPerf Mobile accepts a latency that repeats within 5 %


@dataclass(frozen=True)
class Choice:
    """The choice on one machine; True if an option is within all limits.

    Attributes:
        machine: its name.
        inside: options within all limits, best first: the recommended one and its runner-up lead.
        outside: option and the limits that it misses.
        front: options within all limits that no other beats in latency and quality.
        recommendation, runner_up, int8: a sentence each; empty where there is none.
    """

    machine: str
    inside: tuple[Option, ...]
    outside: tuple[tuple[Option, tuple[Gap, ...]], ...]
    front: tuple[Option, ...]
    recommendation: str
    runner_up: str
    int8: str

    def __bool__(self) -> bool:
        return bool(self.inside)

    def to_dict(self) -> dict[str, Any]:
        """Return names, values and sentences for JSON."""
        return {
            "machine": self.machine,
            "recommended": _plain(self.inside[0]) if self.inside else None,
            "runner_up": _plain(self.inside[1]) if len(self.inside) > 1 else None,
            "inside": [_plain(option) for option in self.inside],
            "outside": [
                {**_plain(option), "reasons": [gap.reason for gap in missed]}
                for option, missed in self.outside
            ],
            "front": [option.name for option in self.front],
            "recommendation": self.recommendation,
            "runner_up_sentence": self.runner_up,
            "int8_needs": self.int8,
        }


def with_protocol(budgets: Budgets, results: Sequence[Result]) -> Budgets:
    """Return budgets with a protocol: the given one, or the first that the results have.

    A budget on PCK takes the first with PCK.
    """
    names = protocols_of(results)
    if budgets.min_pck is not None:
        names = [name for name in names if any(PCK in result.row(name) for result in results)] or names
    return budgets if budgets.protocol or not names else replace(budgets, protocol=names[0])


def quality_measure(measures: Sequence[Measure], budgets: Budgets) -> Measure:
    """Return the measure of quality: PCK where every protocol's accuracy is known, otherwise the drift."""
    known = {measure.key: measure for measure in measures}
    wanted = (accuracy_key(budgets.protocol, PCK), accuracy_key(budgets.protocol, "oks50"), DRIFT_MM.key)
    return next((known[key] for key in wanted if key in known), DRIFT_MM)


def choose(options: Sequence[Option], measures: Sequence[Measure], budgets: Budgets) -> list[Choice]:
    """Return one choice per machine, in the order of the options.

    Args:
        options: of all machines.
        measures: that the options have values of.
        budgets: with a protocol, see `with_protocol`.
    """
    machines = dict.fromkeys(option.machine for option in options if option.machine != NO_MACHINE)
    quality = quality_measure(measures, budgets)
    return [
        _choice([option for option in options if option.machine == machine], quality, budgets, machine)
        for machine in machines
    ]


def _choice(options: Sequence[Option], quality: Measure, budgets: Budgets, machine: str) -> Choice:
    missed = {id(option): tuple(gaps(option, budgets)) for option in options}
    inside = _ranked([option for option in options if not missed[id(option)]], quality)
    outside = tuple((option, missed[id(option)]) for option in options if missed[id(option)])
    return Choice(
        machine=machine,
        inside=tuple(inside),
        outside=outside,
        front=tuple(pareto_front(inside, BUDGET_MS, quality)),
        recommendation=recommendation(inside, outside, machine),
        runner_up=runner_up_sentence(inside, quality),
        int8=int8_sentence(options, inside, outside),
    )


def _ranked(inside: Sequence[Option], quality: Measure) -> list[Option]:
    """Return options fastest first, but the best in quality of those about as fast as the fastest leads.

    The fastest keeps the lead where their pictures show no difference in quality.
    """
    by_speed = sorted(inside, key=lambda option: option.values.get(BUDGET_MS.key, float("inf")))
    if not by_speed or BUDGET_MS.key not in by_speed[0].values:
        return by_speed
    limit = (1 + AS_FAST) * by_speed[0].values[BUDGET_MS.key]
    close = [option for option in by_speed if option.values.get(BUDGET_MS.key, float("inf")) <= limit]
    sign = -1 if quality.higher_is_better else 1
    best = min(close, key=lambda option: sign * option.values.get(quality.key, sign * float("inf")))
    found = quality.difference(best.result, by_speed[0].result)
    if found and found.is_open:
        return by_speed
    return [best, *(option for option in by_speed if option is not best)]


def _plain(option: Option) -> dict[str, Any]:
    return {
        "name": option.name,
        "target": option.result.bundle["target"],
        "precision": option.precision,
        "input_size": option.size,
        "bundle_sha256": option.result.bundle["sha256"],
        "ratio_to_float32": option.ratio,
        "loss_to_float32": option.loss and option.loss.to_dict(),
        "values": dict(option.values),
    }
