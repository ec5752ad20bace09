"""Files that posec wrote and that come back from anywhere: hostile until checked. Valid Python 3.8."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..errors import PosecError

Wanted = TypeVar("Wanted")


class Kind(NamedTuple):
    """What a file should be: a word for it, its format's number, its largest size, and what writes such files."""

    name: str
    version: int
    largest: int
    made_by: str


def read_checked(path: Path, kind: Kind, use: Callable[[Any], Wanted]) -> Wanted:
    """Return what `use` makes of a JSON file.

    `use` should touch whatever will be read of it later: what it trips over is reported as a file of another form.
    Raises PosecError where the file is missing, too large, newer, or of another form.
    """
    try:
        size = path.stat().st_size
        if size > kind.largest:
            raise PosecError(
                f"'{path}' has {size >> 20} MiB, a {kind.name} has at most {kind.largest >> 20}; give what {kind.made_by} wrote"
            )
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["format"] != kind.version:
            raise PosecError(
                f"'{path}' has {kind.name} format {plain['format']}, this posec reads {kind.version}; make it again with {kind.made_by}"
            )
        return use(plain)
    except OSError as error:
        raise PosecError(
            f"no {kind.name} '{path}': {error.strerror}; make one with {kind.made_by}"
        ) from error
    except (
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        IndexError,
        ZeroDivisionError,
        RecursionError,
    ) as error:
        if isinstance(error, PosecError):
            raise
        raise PosecError(
            f"'{path}' is not a {kind.name} of {kind.made_by}: {type(error).__name__} {error}"
        ) from error
