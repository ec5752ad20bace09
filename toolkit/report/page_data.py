"""The data of the page's script: options with their values, and pictures with the people of both networks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .choosing.comparison import Comparison
from .choosing.measures import Measure
from .choosing.options import Option
from .formatting import is_jpeg, number, percent, plain_text
from .sections.explorer import shown_machines

MOST_BYTES = 6_000_000  # of pictures and poses in a page


def page_data(comparison: Comparison) -> str:
    """Return the data as JSON that is safe inside a script element."""
    store = _Pictures()
    # The most interesting options take their share of the bounded space first.
    ranks = {"recommended": 0, "runner-up": 1, "": 2}
    order = sorted(
        range(len(comparison.options)),
        key=lambda index: (
            ranks[comparison.role(comparison.options[index])],
            len(comparison.reasons(comparison.options[index])),
        ),
    )
    pictures = {index: store.take(comparison.options[index].result.compared) for index in order}
    options = [
        _option(comparison, index, option, pictures[index]) for index, option in enumerate(comparison.options)
    ]
    plain = {
        "machines": shown_machines(comparison),
        "measures": [_measure(measure) for measure in comparison.measures],
        "options": options,
        "limits": comparison.budgets.lines(),
        "x": comparison.cost.key,
        "y": comparison.quality.key,
        "pictures": store.pictures,
    }
    return _script_safe(json.dumps(_clean(plain), ensure_ascii=False, allow_nan=False, separators=(",", ":")))


class _Pictures:
    """Pictures of the page, each once, within `MOST_BYTES`."""

    def __init__(self) -> None:
        self.pictures: list[dict[str, Any]] = []
        self._known: dict[str, int] = {}
        self._bytes = 0

    def take(self, compared: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the entries of an option as far as they fit, and keep their pictures."""
        taken = []
        for entry in compared:
            people = {name: entry[name] for name in ("float", "compiled", "pairs")}
            size = len(json.dumps(people, separators=(",", ":")))
            is_new = entry["sha256"] not in self._known
            size += len(entry["jpeg"]) if is_new else 0
            if self._bytes + size > MOST_BYTES or not is_jpeg(entry["jpeg"]) or not _is_sound(entry):
                continue
            if is_new:
                self._known[entry["sha256"]] = len(self.pictures)
                self.pictures.append({name: entry[name] for name in ("jpeg", "size", "joints", "bones")})
            self._bytes += size
            taken.append({"picture": self._known[entry["sha256"]], **people})
        return taken


def _is_sound(entry: Mapping[str, Any]) -> bool:
    """Return whether all indices of an entry fit, so that the script needs no checks."""
    joints = len(entry["joints"])
    people = [*entry["float"], *entry["compiled"]]
    return (
        all(len(person[name]) == joints for person in people for name in ("joints_px", "joints_mm"))
        and all(a < joints and b < joints for a, b in entry["bones"])
        and all(a < len(entry["float"]) and b < len(entry["compiled"]) for a, b in entry["pairs"])
    )


def _option(
    comparison: Comparison, index: int, option: Option, pictures: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    intervals = {measure.key: measure.interval(option.result) for measure in comparison.measures}
    return {
        "id": index,
        "name": option.name,
        "machine": option.machine,
        "precision": option.precision,
        "size": option.size,
        "status": option.result.status,
        "verdict": option.result.verdict,
        "outside": comparison.reasons(option),
        "role": comparison.role(option),
        "values": {key: round(value, 4) for key, value in option.values.items()},
        "intervals": {key: list(interval) for key, interval in intervals.items() if interval},
        "facts": _facts(option),
        "pictures": pictures,
        "left_out": len(pictures) < len(option.result.compared),
    }


def _facts(option: Option) -> list[list[str]]:
    """Return names and values for the head of the viewer."""
    result = option.result
    drift, own = result.drift or {}, (result.drift or {}).get("unsteadiness") or {}
    facts = {
        "verdict": f"{result.verdict}: {result.reason}",
        "drift": number(drift.get("drift_mm"), 1, "mm"),
        "the network's own": number(own.get("drift_mm"), 1, "mm"),
        "people lost": percent(drift.get("people_lost")),
        "lost to float32": str(option.loss or ""),
        "input": option.size,
    }
    return [[name, value] for name, value in facts.items() if value not in ("", "–")]


def _measure(measure: Measure) -> dict[str, Any]:
    return {
        "key": measure.key,
        "label": measure.label,
        "cost": measure.is_cost,
        "up": measure.higher_is_better,
        "digits": measure.digits,
    }


def _clean(plain: Any) -> Any:
    """Return the same with all text printable and without credentials."""
    if isinstance(plain, str):
        return plain_text(plain)
    if isinstance(plain, Mapping):
        return {plain_text(name): _clean(value) for name, value in plain.items()}
    return [_clean(value) for value in plain] if isinstance(plain, (list, tuple)) else plain


def _script_safe(text: str) -> str:
    """Return JSON in which no character can end the script element or a line of script."""
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text
