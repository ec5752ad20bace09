"""The store of a sweep: one JSON file for each finished task, named by its key, and the files of the task."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import PosecError
from ..runtime.files.plain_files import make_folder, take_lock, write_plain
from ..runtime.files.plain_json import read_json
from .tasks import Task

LARGEST_BYTES = 256 << 20
_FORMAT = 1


class Outcome(NamedTuple):
    """The outcome of a task.

    Attributes:
        answer: JSON value; None for a refusal.
        refused: reason; empty for an answer. A refusal depends on the same content as an answer, so it stays.
        began, ended: seconds since the epoch.
    """

    answer: Any
    refused: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """Duration of the work."""
        return self.ended - self.began


class Store:
    """A folder of outcomes, which processes and sweeps share; every file is written whole or not at all."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Lock the store for one sweep: two would write the same bundles. Raises PosecError if locked."""
        make_folder(self.folder)
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            if not take_lock(descriptor):
                raise PosecError(
                    f"another sweep is running in '{self.folder.parent}'; wait, or name another folder"
                )
            yield
        finally:
            os.close(descriptor)

    def files_of(self, key: str) -> Path:
        """Return the folder or file that a task may write beside its outcome."""
        return self.folder / key[:2] / f"{key}.files"

    def read(self, key: str) -> Outcome | None:
        """Return the outcome of a task; None where it or its files are missing or damaged."""
        path = self._path(key)
        if not path.exists():
            return None
        try:
            plain = read_json(path, most_bytes=LARGEST_BYTES)
            is_whole = not plain["files"] or self.files_of(key).exists()
            if plain["format"] != _FORMAT or plain["key"] != key or not is_whole:
                return None
            return Outcome(plain["answer"], plain["refused"], float(plain["began"]), float(plain["ended"]))
        except (ValueError, KeyError, TypeError):
            return None

    def write(self, task: Task, outcome: Outcome) -> None:
        """Write the outcome of a task."""
        plain: Mapping[str, Any] = {
            "format": _FORMAT,
            "kind": task.kind,
            "key": task.key,
            "files": self.files_of(task.key).exists(),
            **outcome._asdict(),
        }
        write_plain(self._path(task.key), json.dumps(plain, allow_nan=False), durable=False)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def perform(work: Any, task: Task, folder: str, *needs: Outcome) -> Outcome:
    """Do a task and write its outcome; runs in a worker.

    Args:
        work: (task, store, answers of the needed tasks) → answer, a JSON value.
        task: what to do.
        folder: of the store.
        needs: outcomes of the needed tasks; the refusal of one is the refusal of this task.
    """
    store = Store(folder)
    if (known := store.read(task.key)) is not None:
        return known
    began = time.time()
    refused = next((need.refused for need in needs if need.refused), "")
    answer = None
    if not refused:
        try:
            answer = work(task, store, [need.answer for need in needs])
        except PosecError as error:
            refused = str(error) or type(error).__name__
    outcome = Outcome(answer, refused, began, time.time())
    store.write(task, outcome)
    return outcome
