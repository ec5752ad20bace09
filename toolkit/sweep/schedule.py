"""Run the tasks of a sweep on Dask: processes of this machine, or the workers of a scheduler."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import PosecError
from .remaining import Remaining
from .store import Outcome, Store, perform
from .tasks import Task

if TYPE_CHECKING:
    from distributed import Client

Work = Callable[..., Any]
# A worker that dies is replaced and its task tried again, so often.
_RETRIES = 1
_CONNECT_S = 20.0


@contextlib.contextmanager
def open_client(workers: int, scheduler: str | None = None) -> Iterator[Client]:
    """Yield a client of Dask, closed afterwards with all processes that were started for it.

    Args:
        workers: number of processes to start on this machine, with one thread each.
        scheduler: address of a running scheduler instead, such as "tcp://10.0.0.5:8786". Its workers need
            posec and the folder of the sweep under the same paths.

    Raises PosecError where Dask is not installed, or nothing answers at the address.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise PosecError(f"a sweep needs {error.name}: pip install 'posec[sweep]'") from error
    # Work takes minutes and uses little memory: it shall not be moved, paused or killed for its size.
    dask.config.set(
        {
            "distributed.worker.memory.terminate": False,
            "distributed.worker.memory.pause": False,
            "distributed.scheduler.allowed-failures": _RETRIES,
            "distributed.comm.timeouts.connect": _CONNECT_S,
            # Dask's own observation of its workers takes processor time from their work.
            "distributed.worker.profile.enabled": False,
            "distributed.admin.tick.interval": "1s",
        }
    )
    if scheduler is not None:
        try:
            with Client(scheduler, timeout=_CONNECT_S) as client:
                yield client
        except (OSError, TimeoutError, ValueError) as error:  # ValueError: no address
            raise PosecError(
                f"no Dask scheduler answers at '{scheduler}'; start one, or leave --scheduler out"
            ) from error
        return
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any free port: another sweep may run
            silence_logs=logging.ERROR,  # workers with threads of engines are slow to end
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def run_tasks(
    tasks: Sequence[Task],
    client: Client,
    store: Store,
    *,
    work: Work,
    report: Callable[[Remaining], None] = lambda remaining: None,
) -> Mapping[str, Outcome]:
    """Run the tasks that have no outcome in the store, and return key → outcome of all.

    Args:
        tasks: each after those that it needs.
        client: of Dask.
        store: of outcomes.
        work: see `perform`.
        report: called whenever a task has ended.

    If a task or its worker ends with an error, the outcome has that reason. It is not stored:
    the next run tries it again.
    """
    from distributed import as_completed

    done = {task.key: outcome for task in tasks if (outcome := store.read(task.key)) is not None}
    left = [task for task in tasks if task.key not in done]
    by_key = {task.key: task for task in left}
    remaining = Remaining(left, sum(client.nthreads().values()))
    futures: dict[str, Any] = {}
    for task in left:
        needs = [futures.get(key, done.get(key)) for key in task.needs]
        futures[task.key] = client.submit(
            perform, work, task, str(store.folder), *needs, key=f"{task.kind}-{task.key}"
        )
    for future in as_completed(list(futures.values())):
        task = by_key[future.key.rpartition("-")[2]]
        outcome = done[task.key] = _outcome(future)
        remaining.add(task.kind, outcome.seconds, failed=bool(outcome.refused))
        report(remaining)
    return done


def _outcome(future: Any) -> Outcome:
    """Return the outcome of a finished future."""
    error = future.exception()
    if error is None:
        outcome: Outcome = future.result()
        return outcome
    reason = " ".join(str(error).split())
    return Outcome(None, f"{type(error).__name__}: {reason:.500}", 0.0, 0.0)
