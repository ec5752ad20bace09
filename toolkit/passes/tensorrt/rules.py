"""Rules of each TensorRT version, read from rules.toml, and the finding that reports a broken one."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

from ...errors import PosecError
from ...ir.toml_file import read_toml

_DATA = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class Rules:
    """The rules of one TensorRT version.

    Attributes:
        version: "8.2", "8.5", "8.6" or "10".
        opset: first and last supported ONNX opset.
        types: of tensors and constants, by their ONNX names.
        resize_modes: of Resize.
        int8_weights: whether a DequantizeLinear may read an int8 constant.
        operators: imported by its parser.
    """

    version: str
    opset: tuple[int, int]
    types: frozenset[str]
    resize_modes: frozenset[str]
    int8_weights: bool
    operators: frozenset[str]


@dataclass(frozen=True)
class Finding:
    """A broken rule: its name, the node or tensor, and why TensorRT refuses it or does not fuse it."""

    rule: str
    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why} ({self.rule})"


@functools.cache
def _known() -> dict[tuple[int, ...], Rules]:
    known: dict[tuple[int, ...], Rules] = {}
    lists: dict[str, frozenset[str]] = {name: frozenset() for name in ("types", "resize_modes", "operators")}
    int8_weights = False
    for version, table in read_toml(_DATA).items():
        lists = {name: earlier | frozenset(table.get(name, ())) for name, earlier in lists.items()}
        int8_weights = table.get("int8_weights", int8_weights)
        first, last = table["opset"]
        known[_numbers(version)] = Rules(
            version, (first, last), lists["types"], lists["resize_modes"], int8_weights, lists["operators"]
        )
    return known


def _numbers(version: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in version.split(".")[:2])
    except ValueError as error:
        raise PosecError(f"a TensorRT version looks like 8.6 or 10.3, got '{version}'") from error


def rules_for(version: str) -> Rules:
    """Return the rules of a version such as "8.6.2": those of the newest up to it. Raises PosecError."""
    known = [rules for numbers, rules in _known().items() if numbers <= _numbers(version)]
    if not known or _numbers(version) >= (11,):
        raise PosecError(
            f"no rules for TensorRT {version}; known: {', '.join(r.version for r in _known().values())} "
            "and later ones up to 10.x"
        )
    return known[-1]
