"""Untrusted TOML: bounded in size, in the depth of its keys, and in its numbers."""

from __future__ import annotations

import math
import re
import tomllib
from pathlib import Path
from typing import Any

from ..errors import PosecError
from ..runtime.files.plain_files import read_plain

LARGEST_BYTES = 2**20
_MOST_PARTS = 16
_TOKEN = re.compile(r"""(?P<part>[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')|(?P<dot>\.)|(?P<space>[ \t]+)|.|\n""")


def read_toml(path: Path, *, most_bytes: int = LARGEST_BYTES, advice: str = "") -> dict[str, Any]:
    """Return the tables of a TOML file.

    Raises PosecError, ending in `advice`, where it is missing, too large, or not TOML.
    """
    content = read_plain(path, most_bytes=most_bytes, error=PosecError, advice=advice)
    try:
        text = content.decode("utf-8")
        _check_keys(text)
        plain = tomllib.loads(text, parse_float=_number)
        _check_whole(plain)
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise PosecError(f"'{path}' is not TOML: {reason}{f'; {advice}' if advice else ''}") from error
    return plain


def _check_keys(text: str) -> None:
    """Raise ValueError where a key has many parts: tomllib's time and memory grow with their square."""
    parts, after_dot = 0, False
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "part":
            parts = parts + 1 if after_dot else 1
            after_dot = False
            if parts > _MOST_PARTS:
                raise ValueError(f"a key has more than {_MOST_PARTS} parts")
        elif kind == "dot":
            after_dot = parts > 0
        elif kind != "space":
            parts, after_dot = 0, False


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.40} is no finite number")
    return value


def _check_whole(plain: Any) -> None:
    pending = [plain]
    while pending:
        item = pending.pop()
        if isinstance(item, dict):
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
        elif isinstance(item, int) and abs(item) >= 2**63:
            raise ValueError(f"a number of {len(str(item))} digits is too large")
