"""A camera that sends the given parts of a Motion JPEG stream over HTTP, sound or not."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PART = b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"


class HttpCamera(ThreadingHTTPServer):
    """Sends the parts of the n-th connection to the n-th reader, and an error to later ones.

    `asked` has the times of all requests.
    """

    daemon_threads = True

    def __init__(self, connections: Sequence[Sequence[bytes]], every_s: float = 0.02) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.waiting, self.every_s = list(connections), every_s
        self.over, self.asked = threading.Event(), []  # type: threading.Event, list[float]
        self.url = f"http://127.0.0.1:{self.server_port}/video.mjpg"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_: Any) -> None:
        self.over.set()
        self.shutdown()
        super().__exit__()


class _Handler(BaseHTTPRequestHandler):
    server: HttpCamera

    def do_GET(self) -> None:
        self.server.asked.append(time.monotonic())
        if not self.server.waiting:
            self.send_error(503)
            return
        parts = self.server.waiting.pop(0)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        try:
            for part in parts:
                self.wfile.write(PART % (len(part), part))
                self.wfile.flush()
                self.server.over.wait(self.server.every_s)
        except OSError:
            pass  # the reader has gone

    def log_message(self, *_: Any) -> None:
        pass
