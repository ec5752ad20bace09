"""Notify systemd that a run is alive, by the protocol of sd_notify(3) and without its library."""

from __future__ import annotations

import os
import socket
import time
from typing import Mapping, Optional

from ..video.result import Result
from ..video.settings import Summary

_EVERY_S = 1.0


class SystemdSink:
    """Sends READY=1 with the first result, WATCHDOG=1 with later ones, and STOPPING=1 at the end.

    systemd restarts a service without results for its WatchdogSec.
    """

    def __init__(self, address: str) -> None:
        """Take the address in NOTIFY_SOCKET: a path, or a name that starts with '@'."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._sent_at: Optional[float] = None

    def write(self, result: Result) -> None:
        """Send a sign of life, at most once a second."""
        now = time.monotonic()
        if self._sent_at is None:
            self._send("READY=1\nSTATUS=finding people")
        elif now - self._sent_at < _EVERY_S:
            return
        else:
            self._send("WATCHDOG=1")
        self._sent_at = now

    def close(self, summary: Summary) -> None:
        """Send that the run ends, with its number of pictures."""
        self._send(f"STOPPING=1\nSTATUS={summary.pictures} pictures, {summary.skipped} skipped")
        self._socket.close()

    def _send(self, message: str) -> None:
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError:
            pass  # systemd is busy or gone; the next message may arrive


def systemd_sink(environment: Mapping[str, str] = os.environ) -> Optional[SystemdSink]:
    """Return the sink of a process that systemd started with Type=notify, else None."""
    address = environment.get("NOTIFY_SOCKET", "")
    return SystemdSink(address) if address[:1] in ("/", "@") else None
