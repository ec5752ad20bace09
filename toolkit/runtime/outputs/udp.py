"""JSON lines as UDP datagrams."""

from __future__ import annotations

import errno
import re
import socket
from typing import Any, Optional, Tuple

from ..console import Report, printable, say
from ..errors import PoseError
from ..video.result import Result
from ..video.settings import Summary

LARGEST_DATAGRAM = 65_507  # bytes that IPv4 carries after its headers
_FORM = re.compile(r"(?:\[(?P<ipv6>[0-9a-fA-F:.%\w]+)\]|(?P<host>[^\s:\[\]]+)):(?P<port>[0-9]{1,5})")
_PASSING = (errno.EAGAIN, errno.ENOBUFS, errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH)


def parse_udp(address: str) -> Tuple[str, int]:
    """Return host and port of 'HOST:PORT' or '[IPv6]:PORT'. Raises PoseError if it is no such address."""
    form = _FORM.fullmatch(address)
    if form is None or not 0 < int(form["port"]) < 65536:
        raise PoseError(f"--udp takes HOST:PORT such as 127.0.0.1:9000, got '{printable(address, keep='')}'")
    return form["ipv6"] or form["host"], int(form["port"])


class UdpSink:
    """Sends one datagram per picture, and never waits.

    A line that the network does not take at once is lost, as is one that is larger than a datagram.
    """

    def __init__(self, address: str, report: Report = say) -> None:
        """Open a socket for an address of `parse_udp`. Raises PoseError if it is none, or has no host."""
        host, port = parse_udp(address)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError) as error:
            raise PoseError(f"--udp: no address of '{host}': {getattr(error, 'strerror', error)}") from error
        family, kind, protocol, _, target = found[0]
        self._target: Any = target
        self._socket = socket.socket(family, kind, protocol)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        self._address, self._report, self._lost = address, report, 0
        self._is_reported = False

    def write(self, result: Result) -> None:
        """Send one line."""
        content = result.line.encode()
        if len(content) > LARGEST_DATAGRAM:
            self._lose(f"a line of {len(content)} bytes is larger than a datagram; use --unix or --json")
            return
        try:
            self._socket.sendto(content, self._target)
        except OSError as error:
            self._lose(None if error.errno in _PASSING else error.strerror)

    def _lose(self, reason: Optional[str]) -> None:
        self._lost += 1
        if reason is not None and not self._is_reported:
            self._is_reported = True
            self._report(f"--udp {self._address}: {reason}")

    def close(self, summary: Summary) -> None:
        """Close the socket and report how many lines were lost."""
        self._socket.close()
        if self._lost:
            self._report(f"--udp {self._address}: {self._lost} lines could not be sent")
