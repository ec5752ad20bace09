"""Numbers and names in the report, and text escaped for HTML, without credentials or control characters."""

from __future__ import annotations

import base64
import binascii
import html
from collections.abc import Mapping
from typing import Any

from ..runtime.console import printable, redact

DASH = "–"
THIN = "\u202f"  # a narrow space that no line breaks at


def safe(value: Any) -> str:
    """Return text that is safe in HTML and in attributes."""
    return html.escape(plain_text(value), quote=True)


def plain_text(value: Any) -> str:
    """Return text without control characters and credentials."""
    return printable(redact(str(value)), keep=f"\n\t{THIN}")


def is_jpeg(text: str) -> bool:
    """Return whether a text is the base64 of a JPEG."""
    try:
        return base64.b64decode(text, validate=True)[:3] == b"\xff\xd8\xff"
    except (binascii.Error, ValueError):
        return False


def number(value: Any, digits: int = 1, unit: str = "") -> str:
    """Return a number with its unit, or a dash for None."""
    if not isinstance(value, (int, float)):
        return DASH
    return f"{value:.{digits}f}{THIN + unit if unit else ''}"


def milliseconds(value: Any) -> str:
    """Return a duration with three significant digits."""
    if not isinstance(value, (int, float)):
        return DASH
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def percent(fraction: Any, digits: int = 1) -> str:
    """Return a fraction of 1 as a percentage."""
    return number(100 * fraction, digits, "%") if isinstance(fraction, (int, float)) else DASH


def megabytes(count: Any) -> str:
    """Return bytes in MB."""
    return number(count / 1e6, 2 if count < 1e7 else 1) if isinstance(count, (int, float)) else DASH


def listed(facts: Mapping[str, Any]) -> str:
    """Return facts as "name value, name value", without those that have no value."""
    present = [f"{name} {value}" for name, value in facts.items() if value not in (None, "", [], {})]
    return ", ".join(present) or DASH
