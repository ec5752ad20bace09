"""Section of the report: predicted inference times of boards, separate from measurements."""

from __future__ import annotations

from collections.abc import Sequence

from ..formatting import milliseconds, number, safe
from ..predicting.bound import Prediction
from ..tables import table

_HEADINGS = (
    "target",
    "precision",
    "at least<br>ms",
    "predicted<br>ms",
    "measured<br>ms",
    "measured over<br>the bound",
    "millions of<br>instructions",
)
_CAPTION = (
    "Predicted, not measured: inference alone, without preprocessing and decoding. At least: the roofline by "
    "the board's peak figures, which no network reaches. Predicted: that bound times the factors between "
    "bound and measurement of the boards that have both. Instructions: the sum of operators, counted "
    "under emulation, on one thread, with the largest error on whole networks. It is in no front and no "
    "recommendation."
)


def predicted_section(predictions: Sequence[Prediction]) -> str:
    """Return the section as HTML; empty without predictions."""
    if not predictions:
        return ""
    body = table(_HEADINGS, [_row(prediction) for prediction in predictions], _CAPTION, kind="facts")
    return f"<section class='predicted'><h2>Predicted, on boards by their peak figures</h2>{body}</section>"


def _row(prediction: Prediction) -> tuple[str, ...]:
    low, high = prediction.low_ms, prediction.high_ms
    if low is None or high is None:
        likely = "<small>no board here has both</small>"
    elif high < 1.01 * low:
        likely = milliseconds(low)
    else:
        likely = f"{milliseconds(low)} to {milliseconds(high)}"
    return (
        safe(prediction.target),
        safe(prediction.precision),
        milliseconds(prediction.bound_ms),
        likely,
        milliseconds(prediction.measured_ms),
        number(prediction.factor, 2),
        _instructions(prediction),
    )


def _instructions(prediction: Prediction) -> str:
    if prediction.instructions is None:
        return ""
    error = prediction.instructions_error
    within = "" if error is None else f" <small>± {number(100 * error, 1)} %</small>"
    return f"{number(prediction.instructions / 1e6, 0)}{within}"
