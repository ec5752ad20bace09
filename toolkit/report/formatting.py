"""Numbers and names as the report writes them, and text made safe for HTML: no credentials, no control characters."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

from ..runtime.console import printable, redact

DASH = "–"
THIN = "\u202f"  # a narrow space that no line breaks at
STAGE_NAMES = {"preprocess": "preprocess", "inference": "network", "decode": "decode"}


def safe(value: Any) -> str:
    """Return text with every character escaped that HTML or an attribute could take for its own."""
    return html.escape(printable(redact(str(value))), quote=True)


def number(value: Any, digits: int = 1, unit: str = "") -> str:
    """Return a number with its unit, or a dash where there is none."""
    if not isinstance(value, (int, float)):
        return DASH
    return f"{value:.{digits}f}{THIN + unit if unit else ''}"


def milliseconds(value: Any) -> str:
    """Return a duration with three significant digits."""
    if not isinstance(value, (int, float)):
        return DASH
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def percent(fraction: Any, digits: int = 1) -> str:
    """Return a fraction of 1 in percent."""
    return number(100 * fraction, digits, "%") if isinstance(fraction, (int, float)) else DASH


def megabytes(count: Any) -> str:
    """Return bytes in MB."""
    return number(count / 1e6, 2 if count < 1e7 else 1) if isinstance(count, (int, float)) else DASH


def listed(facts: Mapping[str, Any]) -> str:
    """Return facts as "name value, name value", those without a value left out."""
    return (
        ", ".join(f"{name} {value}" for name, value in facts.items() if value not in (None, "", [], {}))
        or DASH
    )
