"""Requests of the viewer page: four files, a description, and the latest picture."""

from __future__ import annotations

import io
import os
import socket
import time
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Dict, Optional, Tuple
from urllib.parse import parse_qs, urlsplit

from .address import is_own_host

if TYPE_CHECKING:
    from .server import ViewerServer

# Limits, so that a client cannot take more than its share.
LONGEST_HEAD_BYTES = 8192
HEAD_WITHIN_S = 5.0  # from its first byte
IDLE_S = 15.0  # between requests
SEND_WITHIN_S = 10.0
# A request for a picture is answered after so long even if there is none.
PICTURE_WITHIN_S = 5.0

FOLDER = os.path.dirname(os.path.abspath(__file__))
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/space.js": ("space.js", "text/javascript; charset=utf-8"),
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", _POLICY),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)
_REFUSED = "open the link that posec printed when it started; it has the key\n"


class Request(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    server: ViewerServer  # type: ignore[assignment]
    _rest = b""

    def setup(self) -> None:
        """Take the connection; the head of each request is read whole before it is parsed."""
        self.connection = self.request
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.wfile = _Output(self.connection)

    def finish(self) -> None:
        """Leave the connection to the server."""

    def version_string(self) -> str:
        """Return the header Server, without versions."""
        return "posec"

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log: an address with the token would be in it."""

    def handle_one_request(self) -> None:
        """Read, check and answer one request."""
        self.close_connection = True
        head = self._read_head()
        if head is None:
            return
        self.rfile = io.BytesIO(head)
        self.raw_requestline = self.rfile.readline(LONGEST_HEAD_BYTES)
        if self.parse_request():
            self._answer()

    def _read_head(self) -> Optional[bytes]:
        """Return a request up to its empty line; None if it is too long, too slow, or the viewer has gone."""
        received, deadline = self._rest, 0.0
        while b"\r\n\r\n" not in received:
            if len(received) > LONGEST_HEAD_BYTES:
                return None
            if received and not deadline:
                deadline = time.monotonic() + HEAD_WITHIN_S
            left_s = deadline - time.monotonic() if deadline else IDLE_S
            if left_s <= 0:
                return None
            self.connection.settimeout(left_s)
            part = self.connection.recv(LONGEST_HEAD_BYTES)
            if not part:
                return None
            received += part
        head, _, self._rest = received.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n" if len(head) <= LONGEST_HEAD_BYTES else None

    def _answer(self) -> None:
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or not is_own_host(hosts[0].strip(), self.server.host):
            return self._send(421, text="this server does not have that name\n", last=True)
        if self.headers.get("Content-Length", "0") != "0" or self.headers.get("Transfer-Encoding"):
            return self._send(400, text="requests have no body here\n", last=True)
        if self.command not in ("GET", "HEAD"):
            return self._send(405, text="only GET\n", extra=(("Allow", "GET, HEAD"),), last=True)
        if self.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site") and (
            self.headers.get("Sec-Fetch-Mode") != "navigate"
        ):
            return self._send(403, text="other sites cannot read this page\n", last=True)
        target = urlsplit(self.path)
        query = parse_qs(target.query, max_num_fields=8)
        access, port = self.server.access, self.server.port
        if access.token and target.path == "/" and "key" in query:
            if access.accepts(query["key"][0]):
                found = (("Location", "/"), ("Set-Cookie", access.cookie(port)))
                return self._send(303, extra=found)
            return self._send(403, text=_REFUSED, last=True)
        if not access.in_cookies(self.headers.get("Cookie"), port):
            return self._send(403, text=_REFUSED, last=True)
        return self._serve(target.path, query)

    def _serve(self, path: str, query: Dict[str, Any]) -> None:
        if path in FILES:
            name, kind = FILES[path]
            with open(os.path.join(FOLDER, name), "rb") as file:
                return self._send(200, file.read(), kind)
        if path == "/about":
            return self._send(200, self.server.about, "application/json")
        if path == "/next":
            number = query.get("after", ["0"])[0]
            if not (number.isascii() and number.isdigit() and len(number) < 16):
                return self._send(400, text="'after' is the number of a picture\n")
            message = self.server.feed.after(int(number), PICTURE_WITHIN_S)
            if message is not None:
                return self._send(200, message, "application/octet-stream")
            if self.server.feed.closed:
                return self._send(410, text="the run has ended\n", last=True)
            return self._send(204)
        return self._send(404, text="there is nothing here\n")

    def _send(
        self,
        status: int,
        body: bytes = b"",
        kind: str = "text/plain; charset=utf-8",
        *,
        text: str = "",
        extra: Tuple[Tuple[str, str], ...] = (),
        last: bool = False,
    ) -> None:
        """Send an answer; `last` ends the connection, so that refused clients do not keep one."""
        body = text.encode() or body
        self.close_connection = self.close_connection or last
        self.send_response(status)
        for name, value in (*_HEADERS, *extra):
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body and self.command != "HEAD":
            self.wfile.write(body)


class _Output(io.BufferedIOBase):
    """Sends to a connection; a viewer that does not read loses it after a while."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        """Send all. Raises OSError if that takes longer than SEND_WITHIN_S."""
        self._connection.settimeout(SEND_WITHIN_S)
        self._connection.sendall(data)
        return len(data)
