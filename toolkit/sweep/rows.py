"""The rows of a sweep: a result file for each candidate, failures included, which `posec report` reads."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..device.result import Result, describe_bundle, result_name, save_result
from ..runtime.bundle import read_bundle
from .store import Outcome, Store
from .tasks import CandidateTasks


def results_of(
    candidates: Sequence[CandidateTasks],
    outcomes: Mapping[str, Outcome],
    benches: Mapping[str, Mapping[str, Any]],
    *,
    store: Store,
) -> list[Result]:
    """Return the result of every candidate.

    Args:
        candidates: of the sweep.
        outcomes: key of a task → its outcome.
        benches: key of an export → measurement of `bench`; missing where latency was not measured.
        store: with the bundles.
    """
    return [_result(each, outcomes, benches.get(each.export.key), store=store) for each in candidates]


def save_rows(results: Sequence[Result], out: Path) -> list[Path]:
    """Write one file for each result and return their paths; equal bundles share one."""
    paths = [out / result_name(result.bundle) for result in results]
    for path, result in zip(paths, results, strict=True):
        save_result(result, path)
    return list(dict.fromkeys(paths))


def _result(
    tasks: CandidateTasks,
    outcomes: Mapping[str, Outcome],
    measured: Mapping[str, Any] | None,
    *,
    store: Store,
) -> Result:
    exported = outcomes[tasks.export.key]
    if exported.refused:
        return Result(_described(tasks), _failed(exported.refused), unjudged="the bundle was not made")
    drift, accuracy = outcomes[tasks.drift.key], outcomes[tasks.accuracy.key]
    if measured is None and accuracy.refused:
        measured = _failed(accuracy.refused)
    return Result(
        describe_bundle(read_bundle(store.files_of(tasks.export.key))),
        measured,
        drift.answer,
        accuracy=accuracy.answer or (),
        unjudged=drift.refused,
    )


def _described(tasks: CandidateTasks) -> dict[str, Any]:
    """Return the identity of a bundle that was not made; its hash is the task's key."""
    candidate = tasks.candidate
    return {
        "name": candidate.name[:2000],
        "target": Path(candidate.target).stem,
        "precision": candidate.precision,
        "sha256": tasks.export.key,
        "model_bytes": 0,
    }


def _failed(reason: str) -> dict[str, Any]:
    """Return the measurement of a bundle that did not run."""
    inputs: dict[str, Any] = {"pictures": [], "resized_to": None, "threads": None}
    inputs.update(seconds=0, frames_per_turn=1)
    return {
        "run": "sweep",
        "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "status": "failed",
        "reason": reason[:4000],
        "machine": {},
        "bundle": "",
        "ratios": {},
        "latency": None,
        "inputs": inputs,
        "samples": {"rounds": []},
    }
