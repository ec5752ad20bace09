"""The tasks of a sweep; a task's key is the hash of everything that its result depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .. import __version__
from ..frontend.trace import split_size
from .plan import INT8, Candidate, SweepPlan

# Kinds, in the order of their dependence.
CALIBRATE, EXPORT, PEOPLE, ACCURACY, DRIFT = "calibrate", "export", "people", "accuracy", "drift"
KINDS = (CALIBRATE, EXPORT, PEOPLE, ACCURACY, DRIFT)


class Task(NamedTuple):
    """A piece of work that runs once.

    Attributes:
        kind: one of KINDS.
        key: SHA-256 of what the result depends on.
        settings: arguments of the work.
        needs: keys of the tasks that it reads the answers of, in order.
    """

    kind: str
    key: str
    settings: Mapping[str, Any]
    needs: tuple[str, ...] = ()


class CandidateTasks(NamedTuple):
    """The tasks of one candidate."""

    candidate: Candidate
    export: Task
    people: tuple[Task, ...]
    accuracy: Task
    drift: Task


class Digests(NamedTuple):
    """Hashes of the contents that a plan names; `targets` by name. `tools` are versions of libraries."""

    network: str
    targets: Mapping[str, str]
    calibration: str
    scenes: str
    tools: Mapping[str, str]


class SweepTasks(NamedTuple):
    """All tasks of a plan: each is there once, after those that it needs."""

    tasks: tuple[Task, ...]
    candidates: tuple[CandidateTasks, ...]


def tasks_of(plan: SweepPlan, candidates: Sequence[Candidate], digests: Digests) -> SweepTasks:
    """Return the tasks of all candidates.

    Args:
        plan: of the sweep.
        candidates: of the plan.
        digests: of the contents that the plan names.
    """
    made: dict[str, Task] = {}

    def task(kind: str, settings: Mapping[str, Any], needs: Sequence[Task], **depends: Any) -> Task:
        content = [__version__, dict(digests.tools), kind, depends, [need.key for need in needs]]
        key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return made.setdefault(key, Task(kind, key, settings, tuple(need.key for need in needs)))

    def of_candidate(candidate: Candidate) -> CandidateTasks:
        network = {"network": digests.network, "size": split_size(candidate.network)[1]}
        ranges = []
        if candidate.precision == INT8:
            frames = {"frames": plan.calibration, "count": plan.calibration_frames}
            for shard in range(plan.shards):
                part = {"shard": shard, "shards": plan.shards}
                settings = {"network": candidate.network, "digest": digests.network, **frames, **part}
                content = {**network, **part, "frames": digests.calibration, "count": frames["count"]}
                ranges.append(task(CALIBRATE, settings, (), **content))
        board = [Path(candidate.target).stem, digests.targets[candidate.target]]
        options = [candidate.precision, candidate.observer, candidate.keep_float]
        settings = {**candidate._asdict(), "digest": digests.network}
        export = task(EXPORT, settings, ranges, **network, target=board, options=options)
        people = tuple(
            task(
                PEOPLE,
                {"scenes": plan.scenes, "shard": shard, "shards": plan.shards},
                (export,),
                scenes=digests.scenes,
                shard=[shard, plan.shards],
            )
            for shard in range(plan.shards)
        )
        accuracy = task(ACCURACY, {"scenes": plan.scenes}, (export, *people), scenes=digests.scenes)
        return CandidateTasks(candidate, export, people, accuracy, task(DRIFT, {}, (export,)))

    of_all = tuple(of_candidate(candidate) for candidate in candidates)
    return SweepTasks(tuple(made.values()), of_all)
