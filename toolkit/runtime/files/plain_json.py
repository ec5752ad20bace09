"""JSON from outside: bounded, and every number in it finite and of ordinary size."""

from __future__ import annotations

import json
import math
from typing import Any, Type

from .plain_files import FileError, PathLike, read_plain

_MOST_DIGITS = 19  # a whole number of 64 bits


def read_json(
    path: PathLike, *, most_bytes: int, error: Type[ValueError] = FileError, advice: str = ""
) -> Any:
    """Return the value in a JSON file in UTF-8.

    Raises `error`, ending in `advice`, if `parse_json` or `read_plain` fails.
    """
    content = read_plain(path, most_bytes=most_bytes, error=error, advice=advice)
    try:
        return parse_json(content)
    except ValueError as cause:
        raise error(f"'{path}' is not JSON: {cause}{f'; {advice}' if advice else ''}") from cause


def parse_json(content: bytes) -> Any:
    """Return the value of JSON in UTF-8.

    Raises ValueError if it is none, nested too deep, or holds NaN, infinity or huge numbers.
    """
    try:
        return json.loads(
            content.decode("utf-8"), parse_constant=_number, parse_float=_number, parse_int=_whole
        )
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.40} is not a finite number")
    return value


def _whole(text: str) -> int:
    if len(text) > _MOST_DIGITS + 1:
        raise ValueError(f"a number of {len(text)} digits is too large")
    return int(text)
