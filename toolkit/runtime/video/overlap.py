"""Overlapping stages: a thread prepares the next item while the consumer processes this one."""

from __future__ import annotations

import queue
import threading
from typing import Any, Generator, Iterator, Tuple, TypeVar

T = TypeVar("T")
# Longest wait for the thread when the generator is closed.
PATIENCE_S = 2.0
_STEP_S = 0.1


def ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield the items of an iterator that runs in a thread; the queue holds one item.

    Exceptions of the iterator are raised here, in order. Closing the generator closes the iterator.
    """
    waiting: "queue.Queue[Tuple[str, Any]]" = queue.Queue(maxsize=1)
    closed = threading.Event()

    def hand_over(kind: str, item: Any) -> bool:
        while not closed.is_set():
            try:
                waiting.put((kind, item), timeout=_STEP_S)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not hand_over("item", item):
                    break
            else:
                hand_over("end", None)
        except BaseException as error:
            hand_over("error", error)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            kind, item = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise item
            yield item
    finally:
        closed.set()
        thread.join(PATIENCE_S)
