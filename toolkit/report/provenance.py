"""The report's tables of machines and of bundles: where figures were measured, and with what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..device.result import Result
from .formatting import DASH, listed, number, percent, safe
from .tables import table


def machines(results: Sequence[Result]) -> str:
    """Return the machines that were measured on, one column each, with their state before and after."""
    runs: dict[str, Mapping[str, Any]] = {}
    for result in results:
        if result.bench:
            runs.setdefault(str(result.bench["run"]), result.bench["machine"])
    if not runs:
        return "<p>Nothing was measured on a machine.</p>"
    facts: Sequence[tuple[str, Callable[[Mapping[str, Any]], str]]] = (
        ("board", lambda m: str(m.get("board") or DASH)),
        (
            "processor",
            lambda m: (
                f"{m.get('cpu') or DASH}, {m.get('usable_cpus')} of {m.get('logical_cpus')} logical processors, {m.get('architecture')}"
            ),
        ),
        ("memory", lambda m: number(m.get("memory_mb"), 0, "MB")),
        (
            "virtual machine",
            lambda m: "yes: clocks and temperature are not available" if m.get("virtual") else "no",
        ),
        ("system", lambda m: f"{m.get('os')}, kernel {m.get('kernel')}, Python {m.get('python')}"),
        ("power mode", lambda m: str(m.get("power_mode") or DASH)),
        ("governor", lambda m: str((m.get("before") or {}).get("governor") or DASH)),
        (
            "clocks, MHz",
            lambda m: _before_after(m, "frequencies_mhz", lambda value: "/".join(map(str, value))),
        ),
        ("temperature, °C", lambda m: _before_after(m, "temperatures_c", listed)),
        (
            "throttling",
            lambda m: _before_after(
                m, "throttled", lambda value: listed(value) if any(value.values()) else "none"
            ),
        ),
        ("processors taken by others", lambda m: percent((m.get("busy") or {}).get("others"), 0)),
        ("stolen by the hypervisor", lambda m: percent((m.get("busy") or {}).get("stolen"), 1)),
        ("libraries", lambda m: listed(m.get("libraries") or {})),
    )
    rows = [(safe(name), *(safe(text(machine)) for machine in runs.values())) for name, text in facts]
    return table(
        ("", *(f"run {safe(run)}" for run in runs)),
        rows,
        "Read from the system, before and after measuring.",
        kind="facts",
    )


def _before_after(machine: Mapping[str, Any], name: str, text: Callable[[Any], str]) -> str:
    values = [(machine.get(when) or {}).get(name) for when in ("before", "after")]
    return " → ".join(text(value) for value in values) if all(values) else DASH


def bundles(results: Sequence[Result]) -> str:
    """Return the provenance of each bundle: hashes, passes, versions, licence."""
    rows = []
    for result in results:
        bundle = result.bundle
        engine = listed((result.bench or {}).get("engine") or {})
        passes = ", ".join(f"{name} {count}" for name, count in bundle.get("passes") or [])
        hashes = "".join(
            f"<small>{word} <code>{safe(str(bundle.get(field) or DASH)[:16])}</code></small>"
            for word, field in (
                ("bundle", "sha256"),
                ("model", "model_sha256"),
                ("graph", "graph_sha256"),
                ("ranges", "ranges_sha256"),
            )
        )
        rows.append(
            (
                safe(result.name),
                safe(engine),
                safe(listed(bundle.get("tools") or {})),
                safe(passes),
                hashes,
                safe(bundle.get("licence", DASH)),
            )
        )
    return table(
        (
            "bundle",
            "runs in",
            "built with",
            "passes, places rewritten",
            "SHA-256, first 16",
            "licence of the weights",
        ),
        rows,
        "bundle.json holds the hash of every file, checked when the bundle is opened.",
        kind="facts",
    )
