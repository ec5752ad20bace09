"""Rules for the JSON of .pt2 files: each returns a value rebuilt, or raises GrammarError."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from typing import Any

Rule = Callable[[Any], Any]
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,400}")
_NUMBERS = ("Infinity", "-Infinity", "NaN")
_LARGEST_WHOLE = 2**63


class GrammarError(ValueError):
    """A part of a program that is not on the allow-list; the message names it."""


def table(**rules: Rule) -> Rule:
    """Return the rule of a table: each named field by its rule, None if absent; other fields are dropped."""

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise GrammarError(f"expected a table, got {short(value)}")
        return {name: _at(name, rule, value.get(name)) for name, rule in rules.items()}

    return read


def choice(**rules: Rule) -> Rule:
    """Return the rule of a table with exactly one of the named fields."""

    def read(value: Any) -> Any:
        if not isinstance(value, dict) or len(value) != 1:
            raise GrammarError(f"expected one of {', '.join(rules)}, got {short(value)}")
        ((name, inner),) = value.items()
        if name not in rules:
            raise GrammarError(
                f"'{name}' is not allowed ({short(inner)}); "
                "a network must have static shapes and no code of its own"
            )
        return {name: _at(name, rules[name], inner)}

    return read


def listing(rule: Rule) -> Rule:
    """Return the rule of a list of items of one rule."""

    def read(value: Any) -> Any:
        if not isinstance(value, list):
            raise GrammarError(f"expected a list, got {short(value)}")
        return [_at(str(position), rule, item) for position, item in enumerate(value)]

    return read


def mapping(key: Rule, rule: Rule) -> Rule:
    """Return the rule of a table with one rule for keys and one for values."""

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise GrammarError(f"expected a table, got {short(value)}")
        return {key(name): _at(name, rule, inner) for name, inner in value.items()}

    return read


def optional(rule: Rule) -> Rule:
    """Return a rule that also accepts null."""
    return lambda value: None if value is None else rule(value)


def constant(result: Any) -> Rule:
    """Return a rule that puts `result` in place of whatever is there."""
    return lambda _value: result


def empty(kind: type) -> Rule:
    """Return the rule of a list or a table that must be absent or empty."""

    def read(value: Any) -> Any:
        if value:
            raise GrammarError(
                f"{short(value)} is not allowed: sizes are not fixed; export with static shapes"
            )
        return kind()

    return read


def text(pattern: re.Pattern[str]) -> Rule:
    """Return the rule of a string that matches a pattern as a whole."""

    def read(value: Any) -> Any:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise GrammarError(f"{short(value)} is no plain name")
        return value

    return read


def identifier(value: Any) -> str:
    """Read the name of a tensor; torch writes such names into Python source."""
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value) or keyword.iskeyword(value):
        raise GrammarError(f"{short(value)} is no plain name")
    return value


def whole(value: Any) -> int:
    """Read a whole number of 64 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not -_LARGEST_WHOLE <= value < _LARGEST_WHOLE:
        raise GrammarError(f"expected a whole number of 64 bits, got {short(value)}")
    return value


def flag(value: Any) -> bool:
    """Read true or false."""
    if not isinstance(value, bool):
        raise GrammarError(f"expected true or false, got {short(value)}")
    return value


def number(value: Any) -> Any:
    """Read a number, or torch's word for infinity or NaN."""
    if isinstance(value, str) and value in _NUMBERS:
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e308 < value < 1e308:
        raise GrammarError(f"expected a number, got {short(value)}")
    return value


def _at(name: str, rule: Rule, value: Any) -> Any:
    try:
        return rule(value)
    except GrammarError as error:
        raise GrammarError(
            f"{name[:60]}.{error}" if re.match(r"[\w.]+: ", str(error)) else f"{name[:60]}: {error}"
        ) from None


def short(value: Any) -> str:
    """Return the beginning of a value, for an error."""
    return f"{value!r:.80}"
