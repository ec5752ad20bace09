"""Tables of the report: the machines that were measured on, and the origin of each bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...device.result import Result
from ..formatting import DASH, listed, number, percent, safe
from ..tables import table

if TYPE_CHECKING:
    _Machine = Mapping[str, Any]

_HASHES = {
    "bundle": "sha256",
    "model": "model_sha256",
    "graph": "graph_sha256",
    "ranges": "ranges_sha256",
}
_BUNDLE_HEADINGS = (
    "bundle",
    "runs in",
    "built with",
    "passes, places rewritten",
    "SHA-256, first 16",
    "licence of the weights",
)


def machines(results: Sequence[Result]) -> str:
    """Return the machines that were measured on, one column each, with their state before and after."""
    runs: dict[str, _Machine] = {}
    for result in results:
        if result.bench:
            runs.setdefault(str(result.bench["run"]), result.bench["machine"])
    if not runs:
        return "<p>No machine was measured.</p>"
    rows = [
        (safe(name), *(safe(text(machine)) for machine in runs.values())) for name, text in _FACTS.items()
    ]
    headings = ("", *(f"run {safe(run)}" for run in runs))
    return table(headings, rows, "Read from the system, before and after the measurement.", kind="facts")


def _processor(machine: _Machine) -> str:
    usable, logical = machine.get("usable_cpus"), machine.get("logical_cpus")
    name, architecture = machine.get("cpu") or DASH, machine.get("architecture")
    return f"{name}, {usable} of {logical} logical processors, {architecture}"


def _virtual(machine: _Machine) -> str:
    return "yes: clocks and temperature are not available" if machine.get("virtual") else "no"


def _system(machine: _Machine) -> str:
    return f"{machine.get('os')}, kernel {machine.get('kernel')}, Python {machine.get('python')}"


def _clocks(machine: _Machine) -> str:
    return _before_after(machine, "frequencies_mhz", lambda value: "/".join(map(str, value)))


def _throttling(machine: _Machine) -> str:
    return _before_after(machine, "throttled", lambda value: listed(value) if any(value.values()) else "none")


def _busy(name: str, digits: int) -> Callable[[_Machine], str]:
    return lambda machine: percent((machine.get("busy") or {}).get(name), digits)


def _before_after(machine: _Machine, name: str, text: Callable[[Any], str]) -> str:
    values = [(machine.get(when) or {}).get(name) for when in ("before", "after")]
    return " → ".join(text(value) for value in values) if all(values) else DASH


_FACTS: Mapping[str, Callable[[_Machine], str]] = {
    "board": lambda machine: str(machine.get("board") or DASH),
    "processor": _processor,
    "memory": lambda machine: number(machine.get("memory_mb"), 0, "MB"),
    "virtual machine": _virtual,
    "system": _system,
    "power mode": lambda machine: str(machine.get("power_mode") or DASH),
    "governor": lambda machine: str((machine.get("before") or {}).get("governor") or DASH),
    "clocks, MHz": _clocks,
    "temperature, °C": lambda machine: _before_after(machine, "temperatures_c", listed),
    "throttling": _throttling,
    "processors taken by others": _busy("others", 0),
    "stolen by the hypervisor": _busy("stolen", 1),
    "libraries": lambda machine: listed(machine.get("libraries") or {}),
}


def bundles(results: Sequence[Result]) -> str:
    """Return the provenance of each bundle: hashes, passes, versions, licence."""
    caption = "bundle.json holds the hash of every file; they are checked when the bundle is opened."
    return table(_BUNDLE_HEADINGS, [_bundle(result) for result in results], caption, kind="facts")


def _bundle(result: Result) -> tuple[str, ...]:
    bundle = result.bundle
    hashes = [
        f"<small>{label} <code>{safe(str(bundle.get(field) or DASH)[:16])}</code></small>"
        for label, field in _HASHES.items()
    ]
    return (
        safe(result.name),
        safe(listed((result.bench or {}).get("engine") or {})),
        safe(listed(bundle.get("tools") or {})),
        safe(", ".join(f"{name} {count}" for name, count in bundle.get("passes") or [])),
        "".join(hashes),
        safe(bundle.get("licence", DASH)),
    )
