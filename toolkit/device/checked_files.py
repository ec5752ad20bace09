"""JSON files from untrusted sources: bounded, parsed and checked by a schema. Valid Python 3.8."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ..runtime.errors import PosecError
from .schema import Rule, SchemaError, check_bounds

MOST_VALUES = 4_000_000  # of a file; every value takes many times its text's bytes once it is parsed


class Kind(NamedTuple):
    """A kind of file: its name, format number, largest size in bytes, the command that writes it, and its schema."""

    name: str
    version: int
    largest: int
    made_by: str
    rule: Rule


def read_checked(path: Path, kind: Kind) -> dict[str, Any]:
    """Return the content of a JSON file that keeps the rules of its kind.

    Raises PosecError where the file is missing, no plain file, too large, newer, or of another form.
    """
    try:
        content = _read(path, kind)
    except OSError as error:
        raise PosecError(
            f"no {kind.name} '{path}': {error.strerror}; make one with {kind.made_by}"
        ) from error
    return parse_checked(content, kind, str(path))


def parse_checked(content: bytes, kind: Kind, where: str) -> dict[str, Any]:
    """Return the mapping in the text of a JSON file, likewise; `where` names it in messages."""
    try:
        if sum(content.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
            raise SchemaError(f"it holds more than {MOST_VALUES} values")
        plain = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
        check_bounds(plain)
        if not isinstance(plain, dict) or "format" not in plain:
            raise SchemaError("it has no format number")
        if plain["format"] == kind.version and not isinstance(plain["format"], bool):
            kind.rule.check(plain, "")
            return plain
    except (ValueError, RecursionError) as error:
        raise PosecError(
            f"'{where}' is not a {kind.name} of {kind.made_by}: {str(error) or type(error).__name__}"
        ) from error
    raise PosecError(
        f"'{where}' has {kind.name} format {ascii(plain['format'])[:20]}, this posec reads {kind.version}; make it again with {kind.made_by}"
    )


def _read(path: Path, kind: Kind) -> bytes:
    # A FIFO would block when it is opened, a device would never end.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise PosecError(f"'{path}' is not a plain file; give a {kind.name} that {kind.made_by} wrote")
        content = b"" if found.st_size > kind.largest else file.read(kind.largest + 1)
        if max(found.st_size, len(content)) > kind.largest:
            raise PosecError(
                f"'{path}' has {found.st_size >> 20} MiB, a {kind.name} has at most {kind.largest >> 20}; give what {kind.made_by} wrote"
            )
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise SchemaError(f"{name} is not a number of JSON")
