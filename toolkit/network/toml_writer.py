"""Writing TOML, which the standard library only reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..errors import PosecError


def to_toml(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> str:
    """Return nested tables of strings, booleans, numbers and lists of these as TOML."""
    lines = [
        f"{_key(name)} = {_value(value)}" for name, value in table.items() if not isinstance(value, Mapping)
    ]
    blocks: list[str] = ["\n".join(lines)] if lines else []
    for name, value in table.items():
        if isinstance(value, Mapping):
            inner = (*path, _key(name))
            blocks.append(f"[{'.'.join(inner)}]\n" + to_toml(value, inner))
    return "\n\n".join(block.rstrip("\n") for block in blocks) + "\n"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else _value(name)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, (int, float)):
        return repr(value)
    raise PosecError(f"TOML has no {type(value).__name__}; got {value!r}")
