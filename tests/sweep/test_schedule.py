"""Sweeps on Dask: simulated work in threads, and workers that die as processes."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import Counter

import pytest

distributed = pytest.importorskip("distributed")

from toolkit.errors import PosecError  # noqa: E402
from toolkit.sweep.plan import SweepPlan  # noqa: E402
from toolkit.sweep.remaining import Remaining  # noqa: E402
from toolkit.sweep.schedule import open_client, run_tasks  # noqa: E402
from toolkit.sweep.store import Store  # noqa: E402
from toolkit.sweep.tasks import ACCURACY, EXPORT, PEOPLE, Digests, Task, tasks_of  # noqa: E402

DIGESTS = Digests("n" * 64, {f"t{n}": f"{n:064d}" for n in range(10)}, "c" * 64, "s" * 64, {})
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def client():
    """Eight simulated workers: threads of this process."""
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=8, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as connected,
    ):
        yield connected


def bundles(count):
    """Return the tasks of a plan with so many bundles, of int8."""
    plan = SweepPlan(
        targets=tuple(DIGESTS.targets)[: count // 100],
        precisions=("int8",),
        observers=tuple(f"observer-{number}" for number in range(10)),
        keep_float=tuple((f"layer-{number}",) for number in range(10)),
        shards=1,
    )
    sweep = tasks_of(plan, plan.candidates(lambda target, precision: True), DIGESTS)
    assert len(sweep.candidates) == count
    return sweep


CALLS: Counter[str] = Counter()  # of `simulated`, whose threads run in this process
LOCK = threading.Lock()


def simulated(task, store, answers):
    """Count the calls, and refuse every tenth export."""
    with LOCK:
        CALLS[task.key] += 1
    if task.kind == EXPORT and task.settings["observer"] == "observer-3":
        raise PosecError("the network does not take this observer")
    assert len(answers) == len(task.needs)
    return {"kind": task.kind}


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


def test_a_plan_of_a_thousand_bundles_runs_every_task_once_and_resumes(client, tmp_path):
    sweep, store = bundles(1000), Store(tmp_path)
    reports = []
    outcomes = run_tasks(
        sweep.tasks, client, store, work=simulated, report=lambda left: reports.append((left.done, str(left)))
    )
    assert len(sweep.tasks) == len(outcomes) == 1 + 4 * 1000
    assert [done for done, _ in reports] == list(range(1, len(outcomes) + 1))
    assert max(CALLS.values()) == 1
    # A refused export is a refusal of the tasks that need it, which are not tried.
    refused = [each for each in sweep.candidates if outcomes[each.export.key].refused]
    assert len(refused) == 100
    assert all("does not take" in outcomes[each.accuracy.key].refused for each in refused)
    assert sum(CALLS.values()) == 1 + 1000 + 3 * 900
    # The next run reads everything from the store.
    CALLS.clear()
    assert run_tasks(sweep.tasks, client, store, work=simulated) == outcomes
    assert not CALLS


def test_an_interrupted_sweep_goes_on_where_it_stopped(client, tmp_path):
    sweep, store = bundles(100), Store(tmp_path)
    run_tasks(sweep.tasks[:150], client, store, work=simulated)
    first = set(CALLS)
    run_tasks(sweep.tasks, client, store, work=simulated)
    assert len(first) > 100
    assert max(CALLS.values()) == 1


def dying(task, store, answers):
    if task.settings.get("dies"):
        os._exit(9)
    time.sleep(task.settings.get("seconds", 0))
    if task.kind == ACCURACY:
        raise RuntimeError("a defect")
    return os.getpid()


def test_a_worker_that_dies_is_a_failure_of_its_task_alone_and_is_tried_again(tmp_path):
    tasks = [
        Task(EXPORT, "a" * 64, {"dies": True}),
        Task(PEOPLE, "b" * 64, {}, ("a" * 64,)),
        Task(EXPORT, "c" * 64, {}),
        Task(ACCURACY, "d" * 64, {}, ("c" * 64,)),
    ]
    store = Store(tmp_path)
    with open_client(2) as client:
        outcomes = run_tasks(tasks, client, store, work=dying)
    assert "KilledWorker" in outcomes["a" * 64].refused
    assert outcomes["b" * 64].refused
    assert not outcomes["c" * 64].refused
    assert "a defect" in outcomes["d" * 64].refused
    # Failures that may be of the machine are not stored.
    assert [store.read(task.key) is not None for task in tasks] == [False, False, True, False]


def test_two_workers_run_side_by_side(tmp_path):
    tasks = [Task(PEOPLE, f"{number:064d}", {"seconds": 0.5}) for number in range(8)]
    with open_client(2) as client:
        outcomes = list(run_tasks(tasks, client, Store(tmp_path), work=dying).values())
    assert len({outcome.answer for outcome in outcomes}) == 2
    beside = [
        (one, other)
        for one, other in itertools.combinations(outcomes, 2)
        if one.began < other.ended and other.began < one.ended
    ]
    assert all(one.answer != other.answer for one, other in beside)  # each worker does one task at a time
    assert len(beside) >= 4


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "no address", "foo://127.0.0.1:9"])
def test_a_scheduler_that_does_not_answer_is_refused_in_a_sentence(address, monkeypatch):
    monkeypatch.setattr("toolkit.sweep.schedule._CONNECT_S", 0.5)
    with pytest.raises(PosecError, match="no Dask scheduler answers"), open_client(1, address):
        pass


def test_a_damaged_outcome_and_one_whose_files_are_gone_are_made_again(client, tmp_path):
    store = Store(tmp_path)
    task = Task(EXPORT, "e" * 64, {})

    def making(task, store, answers):
        store.files_of(task.key).parent.mkdir(exist_ok=True)
        store.files_of(task.key).write_text("a bundle")
        return 1

    for damage in (
        lambda: store.files_of(task.key).unlink(),
        lambda: (tmp_path / "ee" / f"{task.key}.json").write_text("{"),
    ):
        run_tasks([task], client, store, work=making)
        assert store.read(task.key).answer == 1
        damage()
        assert store.read(task.key) is None
        client.cancel([f"export-{task.key}"])


def test_the_remaining_time_follows_the_means_of_finished_tasks():
    tasks = [Task(PEOPLE, str(number), {}) for number in range(100)]
    remaining = Remaining(tasks, workers=4)
    for number in range(20):
        remaining.add(PEOPLE, 3.0, failed=number == 0)
    assert remaining.seconds == pytest.approx(80 * 3.0 / 4)
    assert str(remaining) == "20 of 100 tasks, 1 failed, about 1 min 0 s left"
