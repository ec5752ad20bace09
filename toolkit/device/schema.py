"""Schemas of JSON files as data: types, ranges and sizes, checked before a file is used.

Rules nest: `Fields({"frames": Number(0, 1e9), "name": Text()})`. A rule raises SchemaError with the path of
the first value that breaks it. A file may hold fields that no rule names; `check_bounds` limits those, too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

DEEPEST = 24  # levels of nested lists and mappings
LARGEST_WHOLE = 2**53  # integers beyond it are not exact as float64


class SchemaError(ValueError):
    """A value that breaks a rule; the message names its path in the file."""


class Rule(Protocol):
    """Checks one value."""

    def check(self, value: Any, where: str) -> None:
        """Raise SchemaError unless `value`, found at the path `where`, keeps the rule."""


@dataclass(frozen=True)
class Number:
    """A finite number from `low` to `high`; a whole one with `whole`."""

    low: float = -1e12
    high: float = 1e12
    whole: bool = False

    def check(self, value: Any, where: str) -> None:
        """Raise SchemaError for any other value."""
        kinds: tuple[type, ...] = (int,) if self.whole else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise SchemaError(
                f"{where} must be a {'whole ' if self.whole else ''}number, got {_shown(value)}"
            )
        assert isinstance(value, (int, float))
        if not self.low <= value <= self.high:
            raise SchemaError(f"{where} must lie between {self.low:g} and {self.high:g}, got {_shown(value)}")


@dataclass(frozen=True)
class Text:
    """Text of at most `longest` characters, one of `choices` if there are any."""

    longest: int = 1000
    choices: tuple[str, ...] = ()

    def check(self, value: Any, where: str) -> None:
        """Raise SchemaError for any other value."""
        if not isinstance(value, str):
            raise SchemaError(f"{where} must be text, got {_shown(value)}")
        if len(value) > self.longest:
            raise SchemaError(f"{where} has {len(value)} characters, at most {self.longest} are read")
        if self.choices and value not in self.choices:
            raise SchemaError(f"{where} must be one of {', '.join(self.choices)}, got {_shown(value)}")


@dataclass(frozen=True)
class Digest:
    """A SHA-256: 64 hexadecimal digits."""

    def check(self, value: Any, where: str) -> None:
        """Raise SchemaError for any other value."""
        if not isinstance(value, str) or len(value) != 64 or set(value) - set("0123456789abcdef"):
            raise SchemaError(f"{where} must be a SHA-256 of 64 hexadecimal digits, got {_shown(value)}")


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def check(self, value: Any, where: str) -> None:
        """Raise SchemaError for any other value."""
        if not isinstance(value, bool):
            raise SchemaError(f"{where} must be true or false, got {_shown(value)}")


@dataclass(frozen=True)
class Maybe:
    """Null, or a value that keeps `rule`."""

    rule: Rule

    def check(self, value: Any, where: str) -> None:
        """Raise SchemaError for any other value."""
        if value is not None:
            self.rule.check(value, where)


@dataclass(frozen=True)
class Either:
    """A value that keeps one of `rules`; the message is the last one's."""

    rules: tuple[Rule, ...]

    def check(self, value: Any, where: str) -> None:
        """Raise SchemaError for any other value."""
        for rule in self.rules[:-1]:
            try:
                return rule.check(value, where)
            except SchemaError:
                continue
        return self.rules[-1].check(value, where)


@dataclass(frozen=True)
class Items:
    """A list of `fewest` to `most` values that keep `rule`."""

    rule: Rule
    fewest: int = 0
    most: int = 1_000_000

    def check(self, value: Any, where: str) -> None:
        """Raise SchemaError for any other value."""
        if not isinstance(value, (list, tuple)) or not self.fewest <= len(value) <= self.most:
            got = f"{len(value)} entries" if isinstance(value, (list, tuple)) else _shown(value)
            raise SchemaError(f"{where} must be a list of {self.fewest} to {self.most} entries, got {got}")
        for index, entry in enumerate(value):
            self.rule.check(entry, f"{where}[{index}]")


@dataclass(frozen=True)
class Row:
    """A list with one rule per entry."""

    rules: tuple[Rule, ...]

    def check(self, value: Any, where: str) -> None:
        """Raise SchemaError for any other value."""
        if not isinstance(value, (list, tuple)) or len(value) != len(self.rules):
            raise SchemaError(f"{where} must be a list of {len(self.rules)} entries, got {_shown(value)}")
        for index, rule in enumerate(self.rules):
            rule.check(value[index], f"{where}[{index}]")


@dataclass(frozen=True)
class Table:
    """A mapping of at most `most` names to values that keep `rule`."""

    rule: Rule
    most: int = 1000

    def check(self, value: Any, where: str) -> None:
        """Raise SchemaError for any other value."""
        if not isinstance(value, Mapping) or len(value) > self.most:
            raise SchemaError(f"{where} must be a mapping of at most {self.most} names, got {_shown(value)}")
        for name, entry in value.items():
            Text(5000).check(name, f"a name in {where}")
            self.rule.check(entry, f"{where}.{name[:40]}")


@dataclass(frozen=True)
class Fields:
    """A mapping with the `needed` names, and perhaps the `optional` ones."""

    needed: Mapping[str, Rule]
    optional: Mapping[str, Rule] = field(default_factory=dict)

    def check(self, value: Any, where: str) -> None:
        """Raise SchemaError for any other value."""
        if not isinstance(value, Mapping):
            raise SchemaError(f"{where} must be a mapping, got {_shown(value)}")
        missing = [name for name in self.needed if name not in value]
        if missing:
            raise SchemaError(f"{where} lacks {', '.join(missing)}")
        for rules in (self.needed, self.optional):
            for name, rule in rules.items():
                if name in value:
                    rule.check(value[name], f"{where}.{name}" if where else name)


SCALAR = Either((Flag(), Number(), Maybe(Text())))


def check_bounds(plain: Any) -> None:
    """Raise SchemaError for too deep nesting, too large or non-finite numbers, and invalid Unicode."""
    waiting: list[tuple[Any, int]] = [(plain, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise SchemaError(f"values are nested deeper than {DEEPEST} levels")
        if isinstance(value, dict):
            waiting += [(inner, depth + 1) for pair in value.items() for inner in pair]
        elif isinstance(value, list):
            waiting += [(inner, depth + 1) for inner in value]
        elif isinstance(value, str):
            if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
                raise SchemaError(f"text with half a character: {ascii(value)[:60]}")
        elif isinstance(value, int) and abs(value) > LARGEST_WHOLE:
            raise SchemaError(f"a whole number beyond {LARGEST_WHOLE}")
        elif isinstance(value, float) and not math.isfinite(value):
            raise SchemaError("a number that is not finite")


def _shown(value: Any) -> str:
    """Return a short description of a value for a message."""
    if isinstance(value, (dict, list, tuple)):
        return "a mapping" if isinstance(value, dict) else f"a list of {len(value)}"
    return ascii(value)[:60]
