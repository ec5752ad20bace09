"""The work of each kind of task of a sweep; runs in a worker with one thread."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...passes import prepare
from ...sweep.store import Store
from ...sweep.tasks import ACCURACY, CALIBRATE, DRIFT, EXPORT, PEOPLE, Task
from ..interface import inputs

if TYPE_CHECKING:
    from ...evaluation.scenes import Scenes
    from ...ir.graph import Graph
    from ...runtime.estimator import PoseEstimator

_THREADS = 1


def work(task: Task, store: Store, answers: Sequence[Any]) -> Any:
    """Do a task and return its answer as a JSON value; files are written to the task's place in the store.

    Raises PosecError where the task is refused, such as a precision that the network does not take.
    """
    return _WORK[task.kind](task, store, answers)


@functools.lru_cache(maxsize=2)
def _prepared(network: str, digest: str) -> Graph:
    """Return the prepared network, which a worker exports many times.

    A worker of a cluster may outlive a sweep: the digest of the network's files identifies a changed one.
    """
    from ...frontend.trace import trace

    return prepare(trace(network))


@functools.lru_cache(maxsize=1)
def _loaded(folder: str) -> PoseEstimator:
    """Return the estimator of a bundle, which a worker opens once for its shards."""
    from ...runtime import load

    return load(folder, _THREADS)


def _calibrate(task: Task, store: Store, answers: Sequence[Any]) -> Any:
    """Observe one shard of the frames."""
    import calibration

    graph = _prepared(task.settings["network"], task.settings["digest"])
    frames = inputs.frames(task.settings["frames"], graph.spec, task.settings["count"])
    shard, shards = task.settings["shard"], task.settings["shards"]
    part = frames.take(range(len(frames) * shard // shards, len(frames) * (shard + 1) // shards))
    if len(part):  # a folder may have fewer frames than there are shards
        calibration.sweep(graph, part).save(store.files_of(task.key))
    return {"frames": len(part)}


def _export(task: Task, store: Store, answers: Sequence[Any]) -> Any:
    import targets
    from calibration.collect import Sweep

    from ...compiler.build import export_bundle
    from ...compiler.request import ExportRequest

    graph = _prepared(task.settings["network"], task.settings["digest"])
    target = targets.load(task.settings["target"])
    ranges, folder = None, store.files_of(task.key)
    parts = [
        Sweep.load(store.files_of(key))
        for key, answer in zip(task.needs, answers, strict=True)
        if answer["frames"]
    ]
    if parts:
        for later in parts[1:]:
            parts[0].merge(later)
        ranges = parts[0].ranges(task.settings["observer"])
    shutil.rmtree(folder, ignore_errors=True)  # of a worker that died
    request = ExportRequest(
        out=folder,
        precision=task.settings["precision"],
        ranges=ranges,
        keep_float=tuple(task.settings["keep_float"]),
        threads=_THREADS,
    )
    export_bundle(graph, target, request)
    return {"bytes": sum(path.stat().st_size for path in folder.rglob("*"))}


def _people(task: Task, store: Store, answers: Sequence[Any]) -> Any:
    """Return file name → people of one shard: every `shards`-th picture."""
    from ...evaluation.run import find_people

    scenes = _scenes(task.settings["scenes"])
    names = list(scenes.scenes)[task.settings["shard"] :: task.settings["shards"]]
    part = replace(scenes, scenes={name: scenes.scenes[name] for name in names})
    found = find_people(_loaded(str(store.files_of(task.needs[0]))), part)
    return {name: people.to_dict() for name, people in found.items()}


def _accuracy(task: Task, store: Store, answers: Sequence[Any]) -> Any:
    """Return the rows of the protocol, from the people of all shards."""
    from ...evaluation.intervals import Bootstrap
    from ...evaluation.paired import rows_by_picture
    from ...evaluation.scenes import judge_scenes
    from ...runtime.bundle import read_bundle
    from ...runtime.pose import PoseFrame

    _, *shards = answers
    spec = read_bundle(store.files_of(task.needs[0])).spec
    joints = len(spec.skeleton.names)
    people = {name: PoseFrame.from_dict(plain, joints) for shard in shards for name, plain in shard.items()}
    scenes = _scenes(task.settings["scenes"])
    judged = judge_scenes(people, scenes, spec.skeleton, centre_joints=spec.centre_joints)
    return rows_by_picture(judged, scenes, Bootstrap())


def _drift(task: Task, store: Store, answers: Sequence[Any]) -> Any:
    """Return the drift on the golden pictures."""
    from ...device.golden_check import verify_golden

    return verify_golden(store.files_of(task.needs[0]), _THREADS).to_dict()


def _scenes(path: str) -> Scenes:
    from ...evaluation.scenes import read_scenes

    return read_scenes(inputs.sample(path, "scenes.json"))


_WORK = {CALIBRATE: _calibrate, EXPORT: _export, PEOPLE: _people, ACCURACY: _accuracy, DRIFT: _drift}
