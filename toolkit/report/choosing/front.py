"""The Pareto front: options that no other option beats on both axes."""

from __future__ import annotations

from collections.abc import Sequence

from .measures import Measure
from .options import Option


def pareto_front(options: Sequence[Option], cost: Measure, quality: Measure) -> list[Option]:
    """Return the options with both values that no other beats in one and equals or beats in the other.

    They are sorted by cost. Of options with equal values all are on the front.
    """
    known = [option for option in options if {cost.key, quality.key} <= set(option.values)]
    ordered = sorted(known, key=lambda option: (_loss(option, cost), _loss(option, quality)))
    front: list[Option] = []
    for option in ordered:
        best = _loss(front[-1], quality) if front else float("inf")
        is_equal = front and (_loss(option, cost), _loss(option, quality)) == (_loss(front[-1], cost), best)
        if _loss(option, quality) < best or is_equal:
            front.append(option)
    return front


def _loss(option: Option, measure: Measure) -> float:
    """Return a value that is lower for better options."""
    value = option.values[measure.key]
    return -value if measure.higher_is_better else value
