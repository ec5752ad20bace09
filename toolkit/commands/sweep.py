"""sweep: many bundles of one network, exported and judged in parallel, then timed one after the other."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import EXIT_FAILED, EXIT_OK
from .interface.arguments import JSON, Verb, argument
from .interface.outputs import FolderOut
from .interface.terminal import answer, progress, say, table

if TYPE_CHECKING:
    from ..device.result import Result
    from ..sweep.remaining import Remaining

_STORE = "store"
VERB = Verb(
    "Export and measure many bundles of one network: boards, precisions, observers, sizes, layers in float; "
    "exit status 1 if one was not made or does not run.",
    "posec sweep sweep.toml -o results/",
    [
        argument("plan", help="TOML file, see docs/sweep.md"),
        argument(
            "-o",
            "--out",
            type=FolderOut,
            required=True,
            help="folder for one result file per bundle, and for the store from which a sweep resumes",
        ),
        argument(
            "--workers",
            type=int,
            default=os.cpu_count() or 1,
            help="processes that export and judge, one thread each (default: the processors of this machine)",
        ),
        argument(
            "--scheduler",
            metavar="ADDRESS",
            help="of a running Dask scheduler instead, such as tcp://10.0.0.5:8786; its workers need posec "
            "and the folder under the same paths",
        ),
        argument("--dry-run", action="store_true", help="list the bundles, and measure nothing"),
        JSON,
    ],
)


def run(args: argparse.Namespace) -> int:
    """Run the sweep and print one row per bundle."""
    import targets

    from ..errors import PosecError
    from ..sweep.plan import read_plan
    from ..sweep.rows import results_of, save_rows
    from ..sweep.schedule import open_client, run_tasks
    from ..sweep.store import Store
    from ..sweep.tasks import tasks_of
    from .sweeping.digests import digests_of
    from .sweeping.latency import measure_latency
    from .sweeping.work import work

    if args.workers < 1:
        raise PosecError(f"--workers must be a number from 1, got {args.workers}")
    plan = read_plan(Path(args.plan))
    candidates = plan.candidates(lambda target, precision: precision in targets.load(target).precisions)
    sweep = tasks_of(plan, candidates, digests_of(plan))
    if args.dry_run:
        names = [each.name for each in candidates]
        answer(args, names, "\n".join([*names, f"{len(names)} bundles, {len(sweep.tasks)} tasks"]))
        return EXIT_OK
    store = Store(Path(args.out) / _STORE)
    with store.claimed():
        with open_client(args.workers, args.scheduler) as client:
            outcomes = run_tasks(sweep.tasks, client, store, work=work, report=_Report())
        # The workers have ended, so that no task of this sweep disturbs the measurement of latency.
        made = [each.export.key for each in sweep.candidates if not outcomes[each.export.key].refused]
        benches = measure_latency(made, store, plan.seconds, progress=progress) if plan.seconds else {}
    results = results_of(sweep.candidates, outcomes, benches, store=store)
    paths = save_rows(results, Path(args.out))
    text = f"{table(_rows(results))}\n{len(paths)} result files in {args.out}; next: posec report {args.out}"
    answer(args, [result.to_dict() for result in results], text)
    return EXIT_FAILED if any(result.status == "failed" for result in results) else EXIT_OK


class _Report:
    """Prints the progress when another twentieth of the tasks has ended, and every failure count."""

    def __init__(self) -> None:
        self._shown: tuple[int, int] = (-1, 0)

    def __call__(self, remaining: Remaining) -> None:
        now = 20 * remaining.done // max(remaining.total, 1), remaining.failed
        if now != self._shown:
            say(str(remaining))
        self._shown = now


def _rows(results: Sequence[Result]) -> list[list[str]]:
    """Return the table of results, its header first."""
    rows = [["bundle", "status", "verdict", "p50 ms", "PCK_rel@150", "reason"]]
    for result in results:
        latency = (result.bench or {}).get("latency")
        accuracy = result.row("rendered-scenes").get("pck_rel150")
        rows.append(
            [
                result.name,
                result.status,
                result.verdict,
                f"{latency['total']['p50_ms']:.2f}" if latency else "-",
                f"{accuracy:.1f}" if accuracy is not None else "-",
                result.reason if result.status == "failed" or result.verdict == "rejected" else "",
            ]
        )
    return rows
