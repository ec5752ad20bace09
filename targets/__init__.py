"""Boards: one TOML file describes each board, one module per back end compiles for it."""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from toolkit.cost.table import ENDING, CostTable, read_table
from toolkit.errors import PosecError
from toolkit.ir.target import PRECISIONS, Allowance, Backend, Target
from toolkit.ir.toml_file import read_toml
from toolkit.runtime.files.bundle_files import SAFE_NAME

_HERE = Path(__file__).parent
_BFLOAT16 = ("openvino",)
_TABLES = ("refusals", "allowed", "options", "facts", "advice")
_FIELDS = ("title", "backend", "precisions", *_TABLES)


def names() -> list[str]:
    """Return the names of the boards that are shipped."""
    return sorted(path.stem for path in _HERE.glob("*.toml"))


def backends() -> list[str]:
    """Return the names of the back ends: the modules of this folder that define ENGINE."""
    return sorted(
        path.stem for path in _HERE.glob("*.py") if re.search(r"^ENGINE\b", path.read_text(), re.MULTILINE)
    )


def load(name_or_path: str | Path) -> Target:
    """Return a board by its name, or by the path of a TOML file in the same format.

    Raises PosecError where the name is unknown, or the file does not describe a board.
    """
    given = str(name_or_path)
    path = Path(given) if given.endswith(".toml") else _HERE / f"{given}.toml"
    if not given.endswith(".toml") and given not in names():
        raise PosecError(f"no target '{given}'; known: {', '.join(names())}; or give a path to a .toml file")
    if not path.exists():
        raise PosecError(f"no target file '{path}'; known targets: {', '.join(names())}")
    if not SAFE_NAME.fullmatch(path.stem):
        raise PosecError(
            f"the file name is the name of the target: '{path.name}' may contain letters, digits, "
            "'_', '-' and '.'; rename it"
        )
    plain = read_toml(path, advice="give a plain .toml file like those of the shipped targets")
    try:
        return _target(path.stem, plain)
    except ValueError as error:
        raise PosecError(f"target file '{path}': {error}") from error


def operator_costs(name_or_path: str | Path) -> CostTable | None:
    """Return the table of counted operators beside a board's TOML file, or None where there is none.

    Raises PosecError where the table is of another form.
    """
    given = str(name_or_path)
    beside = Path(given).with_suffix("") if given.endswith(".toml") else _HERE / given
    path = beside.with_name(beside.name + ENDING)
    return read_table(path) if path.exists() else None


def _target(name: str, plain: Mapping[str, Any]) -> Target:
    if unknown := sorted(set(plain) - set(_FIELDS)):
        raise PosecError(f"unknown fields {', '.join(unknown)}; known: {', '.join(_FIELDS)}")
    for field in ("title", "backend"):
        if not isinstance(plain.get(field), str):
            raise PosecError(f"'{field}' must be a text, got {plain.get(field)!r}")
    if plain["backend"] not in backends():
        raise PosecError(f"no back end '{plain['backend']}'; known: {', '.join(backends())}")
    tables = {field: plain.get(field, {}) for field in _TABLES}
    listed = plain.get("precisions")
    for field, table in tables.items():
        if not isinstance(table, dict):
            raise PosecError(f"[{field}] must be a table")
    for field in ("refusals", "advice"):
        if not all(
            precision in PRECISIONS and isinstance(text, str) for precision, text in tables[field].items()
        ):
            raise PosecError(f"[{field}] must hold texts for some of {', '.join(PRECISIONS)}")
    if not isinstance(listed, list) or "bfloat16" not in listed:
        # Target files of before bfloat16 do not mention it.
        tables["refusals"] = {"bfloat16": "its file does not list it", **tables["refusals"]}
    elif plain["backend"] not in _BFLOAT16:
        raise PosecError(
            f"back end '{plain['backend']}' does not compute in bfloat16; only {', '.join(_BFLOAT16)} does"
        )
    precisions = _precisions(listed, tables["refusals"])
    allowed = {precision: _allowance(precision, tables["allowed"].get(precision)) for precision in precisions}
    module = cast(Backend, importlib.import_module(f"{__name__}.{plain['backend']}"))
    return Target(
        name=name,
        title=plain["title"],
        backend=module,
        allowed=allowed,
        refusals=tables["refusals"],
        options=tables["options"],
        facts=tables["facts"],
        advice=tables["advice"],
    )


def _precisions(listed: Any, refusals: Mapping[str, str]) -> tuple[str, ...]:
    if (
        not isinstance(listed, list)
        or not listed
        or len(set(map(str, listed))) < len(listed)
        or not set(map(str, listed)) <= set(PRECISIONS)
    ):
        raise PosecError(
            f"'precisions' must list some of {', '.join(PRECISIONS)}, the default first; got {listed!r}"
        )
    if unclear := [precision for precision in PRECISIONS if (precision in listed) == (precision in refusals)]:
        raise PosecError(
            f"{unclear[0]} must be in 'precisions', or in [refusals] with the reason, and not in both"
        )
    return tuple(listed)


def _allowance(precision: str, table: Any) -> Allowance:
    fields = [field.name for field in dataclasses.fields(Allowance)]
    if not isinstance(table, dict) or sorted(table) != sorted(fields):
        raise PosecError(f"[allowed.{precision}] must state {', '.join(fields)}")
    if not all(
        isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf")
        for value in table.values()
    ):
        raise PosecError(f"[allowed.{precision}] must state numbers from 0 on; got {table}")
    return Allowance(**{field: float(table[field]) for field in fields})
