"""Sizes and durations on the command line: 100MB, 1.5GB, 90s, 1h."""

from __future__ import annotations

import argparse
import re
from typing import Mapping, NamedTuple, Optional

SIZES: Mapping[str, int] = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
DURATIONS: Mapping[str, int] = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_AMOUNT = re.compile(r"(\d{1,6}(?:\.\d{1,6})?) ?([a-z]+)", re.IGNORECASE)


class Rotation(NamedTuple):
    """When a growing file is closed and the next one begins.

    Attributes:
        most_bytes: largest size, or None.
        most_s: longest duration in s, or None.
    """

    most_bytes: Optional[int] = None
    most_s: Optional[float] = None


def size(text: str) -> int:
    """Return a number of bytes. Raises argparse.ArgumentTypeError unless text is like '100MB'."""
    amount = _bytes(text)
    if amount is None:
        raise argparse.ArgumentTypeError(f"a size such as 100MB or 2GB is needed, got '{text}'")
    return amount


def rotation(text: str) -> Rotation:
    """Return a size or a duration. Raises argparse.ArgumentTypeError unless text is like '100MB' or '1h'."""
    most_bytes, most_s = _bytes(text), _amount(text, DURATIONS)
    if most_bytes is None and most_s is None:
        raise argparse.ArgumentTypeError(
            f"a size such as 100MB or a duration such as 30min, 1h or 1d is needed, got '{text}'"
        )
    return Rotation(most_bytes, most_s)


def _bytes(text: str) -> Optional[int]:
    """Return a number of bytes from 1, or None."""
    return int(_amount(text, SIZES) or 0) or None


def _amount(text: str, units: Mapping[str, int]) -> Optional[float]:
    """Return a number above 0 in the base unit, or None."""
    found = _AMOUNT.fullmatch(text.strip())
    factor = units.get(found.group(2).lower()) if found else None
    amount = float(found.group(1)) * factor if found and factor else 0.0
    return amount or None
