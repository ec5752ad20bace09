"""A headless Chromium, driven in the DevTools protocol over a pair of pipes, by the standard library."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
ANSWER_WITHIN_S = 60.0
STEPS = 5  # of a drag
PHONE, DESKTOP = (390, 844), (1280, 800)
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--remote-debugging-pipe",
)


def chromium() -> str:
    """Return the path of a Chromium; skips the test where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    return found


class Tab:
    """One page of a browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session
        self.console: list[str] = []

    def do(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the result of a command of the protocol, such as "Page.navigate"."""
        return self._browser.ask(method, params, self._session)

    def look(self, size: tuple[int, int], *, dark: bool = False) -> None:
        """Take the form of a window of (width, height) CSS px, light or dark; a phone has a touch screen."""
        is_phone = size[0] < 600
        self.do(
            "Emulation.setDeviceMetricsOverride",
            width=size[0],
            height=size[1],
            deviceScaleFactor=2 if is_phone else 1,
            mobile=is_phone,
        )
        self.do("Emulation.setTouchEmulationEnabled", enabled=is_phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.do("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        """Go to an address."""
        self.do("Page.navigate", url=url)

    def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, awaited if it is a promise."""
        found = self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str, seconds: float = 20.0) -> Any:
        """Return the first true value of an expression. Fails with the page's text after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(AssertionError):  # the page is not there yet
                if found := self.value(expression):
                    return found
            if time.monotonic() > end:
                pytest.fail(f"not true within {seconds:g} s: {expression}; the page: {self.text()[:2000]}")
            time.sleep(0.05)

    def text(self) -> str:
        """Return the visible text of the page."""
        return str(self.value("document.body ? document.body.innerText : ''"))

    def errors(self) -> list[str]:
        """Return what the page has logged as errors, and its uncaught exceptions."""
        return self._browser.errors.get(self._session, [])

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write the window, or the whole page, as a PNG file."""
        found = self.do("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at a point, move it to another, and release it."""
        points = [start, *_between(start, end), end]
        kinds = ["mousePressed", *["mouseMoved"] * STEPS, "mouseReleased"]
        for kind, (x, y) in zip(kinds, points, strict=True):
            self.do("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def swipe(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Move a finger from a point to another."""
        for number, (x, y) in enumerate([start, *_between(start, end)]):
            kind = "touchMove" if number else "touchStart"
            self.do("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y}])
        self.do("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(self, name: str) -> None:
        """Press and release a key, by the name that a keyboard event has."""
        text = {"text": name} if len(name) == 1 else {}
        self.do("Input.dispatchKeyEvent", type="keyDown", key=name, **text)
        self.do("Input.dispatchKeyEvent", type="keyUp", key=name)


def _between(start: tuple[float, float], end: tuple[float, float]) -> list[tuple[float, float]]:
    """Return points from after the start up to the end."""
    parts = [step / STEPS for step in range(1, STEPS + 1)]
    return [(start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part) for part in parts]


class Browser:
    """A running Chromium; `errors` has the errors of each tab."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back, self._number, self._waiting = to, back, 0, b""
        self.errors: dict[str, list[str]] = {}

    def tab(self, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> Tab:
        """Return a new tab of a window of (width, height)."""
        target = self.ask("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        tab = Tab(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.do(f"{domain}.enable")
        tab.look(size, dark=dark)
        return tab

    def ask(self, method: str, params: dict[str, Any], session: str | None = None) -> dict[str, Any]:
        """Return the answer to a command; events that come before it are kept where they are errors."""
        self._number += 1
        request = {"id": self._number, "method": method, "params": params}
        os.write(
            self._to, json.dumps({**request, "sessionId": session} if session else request).encode() + b"\0"
        )
        while True:
            message = self._read()
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                return dict(message["result"])
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        found, method = message.get("params", {}), message.get("method")
        if method == "Runtime.exceptionThrown":
            text = json.dumps(found["exceptionDetails"])
        elif method == "Log.entryAdded" and found["entry"]["level"] == "error":
            text = found["entry"]["text"]
        else:
            return
        self.errors.setdefault(message["sessionId"], []).append(text)

    def _read(self) -> dict[str, Any]:
        end = time.monotonic() + ANSWER_WITHIN_S
        while b"\0" not in self._waiting:
            ready, _, _ = select.select([self._back], [], [], max(0.0, end - time.monotonic()))
            part = os.read(self._back, 1 << 20) if ready else b""
            assert part, "Chromium does not answer"
            self._waiting += part
        message, _, self._waiting = self._waiting.partition(b"\0")
        return dict(json.loads(message))


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Run a Chromium with a profile of its own during a `with` block."""
    program = chromium()
    (read_by_it, to), (back, written_by_it) = os.pipe(), os.pipe()
    script = f'exec "$0" "$@" 3<&{read_by_it} 4>&{written_by_it}'
    process = subprocess.Popen(
        ["bash", "-c", script, program, *_FLAGS, f"--user-data-dir={profile}"],
        pass_fds=(read_by_it, written_by_it),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(read_by_it)
    os.close(written_by_it)
    try:
        yield Browser(to, back)
    finally:
        with contextlib.suppress(OSError):
            os.write(to, b'{"id":0,"method":"Browser.close"}\0')
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(to)
        os.close(back)
