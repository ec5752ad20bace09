"""Style classes of marks and lines, by precision."""

from __future__ import annotations

from ...device.result import Result

_PRECISIONS = ("float32", "float16", "bfloat16", "int8")  # each with its own style


def precision_style(result: Result) -> str:
    """Return the style class of a result's precision; an unknown precision looks like float32."""
    precision = str(result.bundle["precision"])
    return precision if precision in _PRECISIONS else "float32"
