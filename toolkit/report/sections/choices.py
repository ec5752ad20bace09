"""Section of the report: the recommendation on each machine."""

from __future__ import annotations

from ..choosing.choose import Choice
from ..choosing.comparison import Comparison
from ..formatting import safe

_NAMES = {
    "max_ms": "p90 at most {:g} ms",
    "max_drift_mm": "drift at most {:g} mm",
    "max_drift_ratio": "drift at most {:g} times the network's own unsteadiness",
    "min_pck": "PCK_rel@150 at least {:g} %",
    "max_loss": "at most {:g} points of accuracy less than float32",
}


def choices_section(comparison: Comparison) -> str:
    """Return the section as HTML; empty where nothing was measured."""
    cards = "".join(_card(choice) for choice in comparison.choices)
    if not cards:
        return ""
    asked = [
        text.format(getattr(comparison.budgets, name))
        for name, text in _NAMES.items()
        if getattr(comparison.budgets, name) is not None
    ]
    limits = f"Limits: {'; '.join(asked)}." if asked else "Limits: those of the targets; no budget was given."
    rule = (
        "Recommended is the fastest within all limits; of those within 5 % of it, the most accurate if the "
        "pictures show a difference."
    )
    return (
        f"<section aria-label='Recommendation'><h2>Which one to take</h2>{cards}"
        f"<p class='of'>{safe(limits)} {rule}</p></section>"
    )


def _card(choice: Choice) -> str:
    sentences = [choice.runner_up, choice.int8]
    rest = "".join(f"<p>{safe(sentence)}</p>" for sentence in sentences if sentence)
    kind = "choice" if choice else "choice none"
    return f"<div class='{kind}'><p class='take'>{safe(choice.recommendation)}</p>{rest}</div>"
