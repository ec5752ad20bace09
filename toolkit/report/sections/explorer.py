"""Section of the report: a plot per machine, which the page's script makes interactive; static without it."""

from __future__ import annotations

from collections.abc import Sequence

from ..choosing.comparison import Comparison
from ..choosing.front import pareto_front
from ..choosing.options import NO_MACHINE, Option
from ..formatting import safe
from ..plots.charts import AxisLabels, Limits, Point, scatter
from ..plots.styles import precision_style

_LEAST_SPAN = 10.0  # percentage points that an axis of accuracy shows at least
_CAPTION = (
    "Circles are float32, squares float16 and bfloat16, diamonds int8. Hollow: not accepted. Gray: outside "
    "the limits. Dashed: the limits. Steps: the Pareto front of those within them."
)


def explorer_section(comparison: Comparison) -> str:
    """Return the section as HTML; empty where no result has both a latency and a measure of quality."""
    machines = shown_machines(comparison)
    plots = "".join(_plot(comparison, machine) for machine in machines)
    if not plots:
        return ""
    return (
        "<section id='explorer' aria-label='Accuracy against latency'><h2>Accuracy against latency</h2>"
        f"<p class='of'>{_CAPTION}</p><div class='plots'>{plots}</div></section>"
    )


def shown_machines(comparison: Comparison) -> list[str]:
    """Return the machines with a plot."""
    return [
        machine
        for machine in dict.fromkeys(option.machine for option in comparison.options)
        if machine != NO_MACHINE
    ]


def _plot(comparison: Comparison, machine: str) -> str:
    cost, quality = comparison.cost, comparison.quality
    options = [
        option
        for option in comparison.options
        if option.machine == machine and {cost.key, quality.key} <= set(option.values)
    ]
    if not options:
        return ""
    inside = [option for option in options if not comparison.reasons(option)]
    limits = comparison.budgets.lines()
    drawing = scatter(
        f"Results on {machine}",
        [_point(comparison, option) for option in options],
        AxisLabels(cost.label, quality.label),
        least_span=_LEAST_SPAN if quality.higher_is_better else 0.0,
        limits=Limits(limits.get(cost.key), limits.get(quality.key)),
        front=_places(comparison, pareto_front(inside, cost, quality)),
    )
    heading = f"<figcaption><h3>{safe(machine)}</h3></figcaption>"
    return f"<figure class='chart'>{heading}{drawing}</figure>"


def _places(comparison: Comparison, options: Sequence[Option]) -> list[tuple[float, float]]:
    cost, quality = comparison.cost.key, comparison.quality.key
    return [(option.values[cost], option.values[quality]) for option in options]


def _point(comparison: Comparison, option: Option) -> Point:
    ((x, y),) = _places(comparison, [option])
    return Point(
        x,
        y,
        option.name,
        precision_style(option.result),
        hollow=option.result.verdict != "accepted",
        gray=bool(comparison.reasons(option)),
    )
