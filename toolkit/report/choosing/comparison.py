"""Derived from results for the report and `posec choose`: measures, options, the choice per machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...device.result import Result
from .budgets import Budgets
from .choose import Choice, choose, quality_measure, with_protocol
from .measures import BUDGET_MS, Measure, measures_of
from .options import Option, options_of


@dataclass(frozen=True)
class Comparison:
    """Results side by side.

    Attributes:
        options: in the order of the results.
        measures: that at least one result has.
        budgets: with the protocol that accuracy is taken from.
        choices: one per machine.
        cost, quality: the measures that the choice weighs.
    """

    options: tuple[Option, ...]
    measures: tuple[Measure, ...]
    budgets: Budgets
    choices: tuple[Choice, ...]
    cost: Measure
    quality: Measure

    def __bool__(self) -> bool:
        """Whether an option is within all limits on at least one machine."""
        return any(self.choices)

    def recommended(self) -> Option | None:
        """Return the recommended option of the first machine that has one."""
        return next((choice.inside[0] for choice in self.choices if choice), None)

    def reasons(self, option: Option) -> list[str]:
        """Return the limits that an option misses."""
        return [
            gap.reason
            for choice in self.choices
            for other, gaps in choice.outside
            if other is option
            for gap in gaps
        ]

    def role(self, option: Option) -> str:
        """Return "recommended", "runner-up" or an empty string."""
        for choice in self.choices:
            for role, candidate in zip(("recommended", "runner-up"), choice.inside, strict=False):
                if candidate is option:
                    return role
        return ""


def compare(
    results: Sequence[Result],
    budgets: Budgets | None = None,
    *,
    counts: Sequence[Mapping[str, Any]] = (),
) -> Comparison:
    """Compare results; `counts` are counted instructions, see `read_instructions`."""

    def instructions(result: Result) -> float | None:
        return _instructions(result, counts)

    budgets = with_protocol(budgets or Budgets(), results)
    measures = measures_of(results, instructions if counts else None)
    options = options_of(results, measures, budgets.protocol)
    return Comparison(
        options=tuple(options),
        measures=tuple(measures),
        budgets=budgets,
        choices=tuple(choose(options, measures, budgets)),
        cost=BUDGET_MS,
        quality=quality_measure(measures, budgets),
    )


def _instructions(result: Result, counts: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the millions of instructions counted for the same network, precision and board, or None."""
    bundle = result.bundle
    for count in counts:
        board = str(count["board"]).lower().replace(" ", "-")
        asked = (bundle["name"], bundle["precision"], bundle["target"])
        if (count["network"], count["precision"], board) == asked:
            return float(count["instructions"]) / 1e6
    return None
