"""The server of the viewer page: its socket, its threads, and their limits."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
import time
from typing import Any, Dict, Tuple

from ..console import Report
from .access import VARIABLE, Access, make_access
from .address import WebAddress, is_loopback, listen
from .feed import Feed
from .request import Request

MOST_CONNECTIONS = 32
CLOSE_WITHIN_S = 1.0
NICENESS = 10

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)


class ViewerServer:
    """Serves the page in separate threads until `close`.

    Attributes:
        url: link to the page, without the token.
        link: link that opens the page, with the token if there is one and posec chose it.
    """

    def __init__(self, address: WebAddress, feed: Feed, about: Dict[str, Any]) -> None:
        """Listen and start. Raises ViewerError if the address cannot be had.

        Args:
            address: where to listen.
            feed: the pictures.
            about: description of the run, for the page: see `viewer.describe`.
        """
        self.feed, self.about = feed, json.dumps(about, allow_nan=False).encode()
        self._socket = listen(address)
        bound, self.port = self._socket.getsockname()[:2]
        self.host = address.host
        self.access: Access = make_access(is_loopback(bound))
        self._slots = threading.BoundedSemaphore(MOST_CONNECTIONS)
        self._open: Dict[int, socket.socket] = {}
        self._closed = threading.Event()
        shown = socket.gethostname() if bound in ("0.0.0.0", "::") else address.host
        self.url = f"http://{f'[{shown}]' if ':' in shown else shown}:{self.port}/"
        secret = self.access.token if not self.access.is_stated else ""
        self.link = f"{self.url}?key={secret}" if secret else self.url
        self._thread = threading.Thread(target=self._accept, name="posec-web", daemon=True)
        self._thread.start()

    def announce(self, report: Report) -> None:
        """Report the link to the page."""
        report(f"look at it: {self.link}" + (f"?key=${VARIABLE}" if self.access.is_stated else ""))

    def close(self) -> None:
        """Stop listening and end all connections."""
        self._closed.set()
        self.feed.close()
        _shut(self._socket)
        self._thread.join(CLOSE_WITHIN_S)
        for opened in list(self._open.values()):
            _shut_reading(opened)  # idle connections end, answers under way are sent
        deadline = time.monotonic() + CLOSE_WITHIN_S
        while self._open and time.monotonic() < deadline:
            time.sleep(0.01)
        for opened in list(self._open.values()):
            _shut(opened)

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                opened, peer = self._socket.accept()
            except OSError:
                if self._closed.wait(0.1):  # no descriptors left, or the peer has gone already
                    return
                continue
            if not self._slots.acquire(blocking=False):
                _turn_away(opened)
                continue
            self._open[id(opened)] = opened
            threading.Thread(target=self._serve, args=(opened, peer), daemon=True).start()

    def _serve(self, opened: socket.socket, peer: Tuple[Any, ...]) -> None:
        _step_back()
        try:
            Request(opened, peer, self)  # type: ignore[arg-type]
        except (OSError, ValueError):
            pass  # the viewer has gone, or sends something other than HTTP
        finally:
            self._open.pop(id(opened), None)
            _shut(opened)
            self._slots.release()


def _step_back() -> None:
    """Give this thread a lower priority than the loop and the engine, where the system has one per thread."""
    if sys.platform.startswith("linux"):
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
        except OSError:
            pass  # already lower


def _turn_away(opened: socket.socket) -> None:
    """Send status 503 to a client above the limit, without waiting for it."""
    try:
        opened.setblocking(False)
        opened.send(_FULL)
    except OSError:
        pass
    _shut(opened)


def _shut_reading(opened: socket.socket) -> None:
    try:
        opened.shutdown(socket.SHUT_RD)
    except OSError:
        pass


def _shut(opened: socket.socket) -> None:
    try:
        opened.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    opened.close()
