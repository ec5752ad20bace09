"""JSON files from untrusted sources: bounded, parsed and checked by a schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from ..runtime.errors import PosecError
from ..runtime.files.plain_files import read_plain
from ..runtime.files.plain_json import parse_json
from .schema import Rule, SchemaError, check_bounds

MOST_VALUES = 4_000_000  # of a file; a parsed value takes many times the bytes of its text


class Kind(NamedTuple):
    """A kind of file: its name, format number, largest size in bytes, the command that writes it, and its schema."""

    name: str
    version: int
    largest: int
    made_by: str
    rule: Rule


def read_checked(path: Path, kind: Kind) -> dict[str, Any]:
    """Return the content of a JSON file that keeps the rules of its kind.

    Raises PosecError if the file is missing, not a plain file, too large, newer, or of another form.
    """
    if not path.exists():
        raise PosecError(f"no {kind.name} '{path}'; make one with {kind.made_by}")
    advice = f"give a {kind.name} that {kind.made_by} wrote"
    content = read_plain(path, most_bytes=kind.largest, error=PosecError, advice=advice)
    return parse_checked(content, kind, str(path))


def parse_checked(content: bytes, kind: Kind, where: str) -> dict[str, Any]:
    """Return the mapping in the text of a JSON file, likewise; `where` names it in messages."""
    try:
        if sum(content.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
            raise SchemaError(f"it holds more than {MOST_VALUES} values")
        plain = parse_json(content)
        check_bounds(plain)
        if not isinstance(plain, dict) or "format" not in plain:
            raise SchemaError("it has no format number")
        if plain["format"] == kind.version and not isinstance(plain["format"], bool):
            kind.rule.check(plain, "")
            return plain
    except ValueError as error:
        raise PosecError(
            f"'{where}' is not a {kind.name} of {kind.made_by}: {str(error) or type(error).__name__}"
        ) from error
    raise PosecError(
        f"'{where}' has {kind.name} format {ascii(plain['format'])[:20]}, this posec reads {kind.version}; make it again with {kind.made_by}"
    )
