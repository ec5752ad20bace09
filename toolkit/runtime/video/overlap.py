"""Overlapping stages: a thread prepares the next item while the consumer processes this one."""

from __future__ import annotations

import queue
import threading
from typing import Any, Generator, Iterator, Optional, Tuple, TypeVar

T = TypeVar("T")
# Longest wait for the thread when the generator is closed.
PATIENCE_S = 2.0
_STEP_S = 0.1


def ahead(items: Iterator[T], first_s: Optional[float] = None) -> Generator[T, None, None]:
    """Yield the items of an iterator that runs in a thread; the queue holds one item.

    Exceptions of the iterator are raised here, in order. Closing the generator closes the iterator.

    Args:
        items: the iterator.
        first_s: longest wait for the first item, in seconds; None waits without end.

    Raises TimeoutError if the first item does not come in time.
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
            try:
                kind, item = waiting.get(timeout=first_s)
            except queue.Empty:
                raise TimeoutError(f"nothing came in {first_s:g} s") from None
            first_s = None
            if kind == "end":
                return
            if kind == "error":
                raise item
            yield item
    finally:
        closed.set()
        thread.join(PATIENCE_S)
