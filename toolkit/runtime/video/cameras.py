"""Cameras: opened again after they stop sending, until a time limit."""

from __future__ import annotations

import re
import socket
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Callable, Generator, Iterator, Optional
from urllib.parse import urlsplit

import cv2

from ..console import Report
from ..files.pictures import SourceError
from .black_pictures import BlackPictures
from .frames import CapturedFrame, open_capture
from .latest_frame import HANGING_AFTER_S, TimedPicture, latest_frames

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
PROBE_S = 3.0
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443, "rtmp": 1935, "rtmps": 443, "tcp": None}
# Elements of a GStreamer pipeline that end by themselves.
_FINITE = re.compile(r"filesrc|num-buffers")


class CameraGone(SourceError):
    """A camera that stopped sending and did not come back in time."""


@dataclass(frozen=True)
class Camera:
    """A camera and the function that opens it.

    Attributes:
        name: for messages, without credentials.
        open: returns an opened cv2.VideoCapture; raises SourceError.
        ends: True for a finite source: frames are read in order; False to read only the latest frame.
    """

    name: str
    open: Callable[[], Any]
    ends: bool = False


def local_camera(where: Any, name: str) -> Camera:
    """Return the camera of a number or a device file such as /dev/video0."""
    interface = cv2.CAP_ANY if isinstance(where, int) else cv2.CAP_V4L2
    return Camera(
        name,
        lambda: open_capture(
            where, name, (interface,), hint="is it there, free, and of a kind that cv2 reads?"
        ),
    )


def pipeline(description: str) -> Camera:
    """Return the camera of a GStreamer pipeline."""
    name = "the GStreamer pipeline"
    hint = "this cv2 may be built without GStreamer, or an element is missing"
    return Camera(
        name,
        lambda: open_capture(description, name, (cv2.CAP_GSTREAMER,), hint=hint),
        ends=bool(_FINITE.search(description)),
    )


def network_camera(address: str, name: str) -> Camera:
    """Return the camera at an address such as rtsp://…"""

    def opened() -> Any:
        limits = {
            "CAP_PROP_OPEN_TIMEOUT_MSEC": HANGING_AFTER_S,
            "CAP_PROP_READ_TIMEOUT_MSEC": HANGING_AFTER_S,
        }
        options = [
            value
            for key, seconds in limits.items()
            if hasattr(cv2, key)
            for value in (getattr(cv2, key), int(1000 * seconds))
        ]
        return open_capture(
            address,
            name,
            (cv2.CAP_FFMPEG, cv2.CAP_GSTREAMER),
            hint=lambda: _why_not(address),
            options=options,
        )

    return Camera(name, opened)


def _why_not(address: str) -> str:
    """Return a possible reason why an address does not open; cv2 gives none."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme.lower())
    except ValueError:
        host, port = None, None
    if host is None or ("@" in address and "@" not in parts.netloc):
        return "the address is malformed; write '/', '#', '?' and '@' in a password as %2F, %23, %3F and %40"
    if not port:
        return "is it sending, in a format that FFmpeg reads?"
    try:
        socket.create_connection((host, port), PROBE_S).close()
    except OSError as error:
        return f"no connection to port {port} of '{host}': {error.strerror or error}"
    return f"'{host}' answers on port {port}: check the path, user name and password, and that it sends video"


def stream_camera(camera: Camera, capture: Any, *, retry_s: float, report: Report) -> Iterator[CapturedFrame]:
    """Yield the frames of a camera; open it again, with growing pauses, when it stops sending.

    Args:
        camera: opens it again.
        capture: an opened cv2.VideoCapture, released at the end.
        retry_s: seconds to wait for a camera that stopped sending.
        report: called with a sentence when the camera stops sending and when it is back.

    Raises SourceError if no frame arrives, CameraGone if the camera does not come back.
    """
    number, started, gone_at, pause_s = 0, 0.0, 0.0, FIRST_PAUSE_S
    black = BlackPictures(camera.name, report)
    while True:
        with closing(_in_turn(capture) if camera.ends else latest_frames(capture)) as pictures:
            for picture, came, dropped in pictures:
                started = started or came
                if gone_at:
                    report(f"{camera.name} is back after {came - gone_at:.0f} s")
                gone_at, pause_s = 0.0, FIRST_PAUSE_S
                black.check(picture, came)
                unix_s = round(time.time() - (time.monotonic() - came), 3)
                yield CapturedFrame(f"{number:06d}", picture, came - started, dropped, unix_s)
                number += 1
        if not number:
            raise SourceError(f"{camera.name} opened but gave no picture; does another program use it?")
        if camera.ends:
            return
        if not gone_at:
            gone_at = time.monotonic()
            report(f"{camera.name} sends no more pictures; trying to open it again for {retry_s:g} s")
        again: Optional[Any] = None
        while again is None:
            left_s = gone_at + retry_s - time.monotonic()
            if left_s <= 0:
                raise CameraGone(
                    f"{camera.name} went away after {number} pictures and did not come back within "
                    f"{retry_s:g} s"
                )
            time.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            try:
                again = camera.open()
            except SourceError:
                continue
        capture = again


def _in_turn(capture: Any) -> Generator[TimedPicture, None, None]:
    """Yield the frames of a capture in order, with their times."""
    try:
        while True:
            is_read, picture = capture.read()
            if not is_read:
                break
            yield TimedPicture(picture, time.monotonic())
    finally:
        capture.release()
