"""The address of the viewer page: where to listen, and which Host headers belong to it."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import NamedTuple

from ..console import printable
from ..errors import PoseError

LOOPBACK = "127.0.0.1"
_FORM = re.compile(r"(?:(?:\[(?P<ipv6>[0-9a-fA-F:.]+)\]|(?P<host>[A-Za-z0-9._-]+)):)?(?P<port>\d{1,5})")


class ViewerError(PoseError):
    """A viewer page that cannot be served."""


class WebAddress(NamedTuple):
    """Where to listen.

    Attributes:
        host: an IP address or a host name.
        port: 0 takes a free one.
    """

    host: str
    port: int


def parse_address(text: str) -> WebAddress:
    """Return the address of a text such as "8000", "0.0.0.0:8000" or "[::]:8000". Raises ViewerError.

    >>> parse_address("8000")
    WebAddress(host='127.0.0.1', port=8000)
    """
    form = _FORM.fullmatch(text)
    if form is None or int(form["port"]) > 65535:
        raise ViewerError(
            f"--web takes PORT or HOST:PORT, such as 8000 or 0.0.0.0:8000; got '{printable(text, keep='')}'"
        )
    host = form["ipv6"] or form["host"] or LOOPBACK
    return WebAddress(LOOPBACK if host.lower() == "localhost" else host, int(form["port"]))


def listen(address: WebAddress) -> socket.socket:
    """Return a listening socket. Raises ViewerError with the reason if the address cannot be had."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(place)
            opened.listen(64)
        except OSError:
            opened.close()
            raise
        return opened
    except OSError as error:
        raise ViewerError(
            f"cannot serve --web on port {address.port} of '{address.host}': {error.strerror or error}; "
            "choose another port, or an address of this machine"
        ) from error


def is_loopback(host: str) -> bool:
    """Return whether an IP address is reached from this machine alone."""
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_own_host(header: str, stated: str) -> bool:
    """Return whether a Host header names this machine; `stated` is the host that the page listens on.

    A page of another site can make its own name resolve to this machine (DNS rebinding). Its requests carry
    that name, and are refused here. Addresses in digits cannot be taken over in this way. The port is not
    compared, because a tunnel may have another one.
    """
    form = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+))(?::\d{1,5})?", header)
    if form is None:
        return False
    name = (form[1] or form[2]).lower().rstrip(".")
    own = socket.gethostname().lower()
    names = ("localhost", own, f"{own.partition('.')[0]}.local", stated.lower().rstrip("."))
    return name in names or _is_address(name)
