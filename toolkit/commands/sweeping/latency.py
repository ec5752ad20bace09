"""Latency of the bundles of a sweep: one bench after the other, in the store by bundle and machine."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...device.bench import bench
from ...device.machine import machine_facts
from ...device.timing.turns import BenchSettings
from ...sweep.store import Outcome, Store
from ...sweep.tasks import Task

LATENCY = "latency"
# Bundles that take turns in one bench.
_TOGETHER = 8
_CAMERA = (720, 1280)
_MACHINE = ("board", "cpu", "architecture", "logical_cpus", "usable_cpus", "os", "power_mode")


def measure_latency(
    exports: Sequence[str],
    store: Store,
    seconds: float,
    *,
    progress: Callable[[str], Callable[[int, int], None]],
) -> dict[str, Mapping[str, Any]]:
    """Return key of an export → measurement of `bench` on this machine.

    Nothing else of a sweep may run meanwhile. A bundle that ran here for an earlier sweep is not measured
    again.

    Args:
        exports: keys of exports with a bundle in the store.
        store: of the sweep.
        seconds: time for each bundle.
        progress: label → callback of `bench`.
    """
    facts = machine_facts()
    tasks = {key: _task(key, seconds, facts) for key in dict.fromkeys(exports)}
    found = {key: known.answer for key, task in tasks.items() if (known := store.read(task.key)) is not None}
    left = [key for key in tasks if key not in found]
    for first in range(0, len(left), _TOGETHER):
        keys = left[first : first + _TOGETHER]
        label = progress(f"latency of bundles {first + 1} to {first + len(keys)} of {len(left)}, seconds")
        began = time.time()
        settings = BenchSettings(seconds=seconds, size=_CAMERA)
        measured = bench([store.files_of(key) for key in keys], settings=settings, progress=label)
        for key, each in zip(keys, measured, strict=True):
            found[key] = each
            if each["status"] == "ran":
                store.write(tasks[key], Outcome(each, "", began, time.time()))
    return found


def _task(export: str, seconds: float, facts: Mapping[str, Any]) -> Task:
    place = {name: facts.get(name) for name in _MACHINE}
    content = json.dumps([LATENCY, export, seconds, place], sort_keys=True, default=str)
    return Task(LATENCY, hashlib.sha256(content.encode()).hexdigest(), {"seconds": seconds}, (export,))
