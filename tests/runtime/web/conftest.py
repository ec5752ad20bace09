"""A camera on the network, the command that looks through it, and requests to its page."""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from networks import spot_picture
from processes import start
from tiny_bundles import write_tiny_bundle
from video_files import jpeg

PART = b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"
EVERY_S = 0.04


class Camera(ThreadingHTTPServer):
    """Sends pictures with two people until it is closed."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Sender)
        self.gone = threading.Event()
        self.pictures = [jpeg(spot_picture(2, seed=seed)) for seed in range(3)]
        self.url = f"http://127.0.0.1:{self.server_port}/video.mjpg"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.gone.set()
        self.shutdown()
        self.server_close()


class _Sender(BaseHTTPRequestHandler):
    server: Camera

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        number = 0
        with contextlib.suppress(OSError):
            while not self.server.gone.wait(EVERY_S):
                picture = self.server.pictures[number % 3]
                self.wfile.write(PART % (len(picture), picture))
                number += 1

    def log_message(self, *_: Any) -> None:
        pass


class Running(NamedTuple):
    """A command that serves a page: its process, the link that it printed, and the port."""

    process: Any
    link: str
    port: int


@contextlib.contextmanager
def serving(bundle: Path, source: str, *words: str, web: str = "0") -> Iterator[Running]:
    """Run the command with a page during a `with` block."""
    with start("run", bundle, "--source", source, "--web", web, *words) as process:
        try:
            lines = []
            while not (found := re.search(r"look at it: (http://\S+?:(\d+)/\S*)", "".join(lines))):
                lines.append(process.stderr.readline())
                assert lines[-1], "".join(lines)
            threading.Thread(target=process.stderr.read, daemon=True).start()
            yield Running(process, found[1], int(found[2]))
        finally:
            process.terminate()
            process.wait(20)


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body; a keyword such as Sec_Fetch_Site is a header."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(
            method, path, headers={name.replace("_", "-"): text for name, text in headers.items()}
        )
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny bundle."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny").folder


@pytest.fixture
def camera() -> Iterator[Camera]:
    """A camera that sends."""
    with contextlib.closing(Camera()) as camera:
        yield camera
