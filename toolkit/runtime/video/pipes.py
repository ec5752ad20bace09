"""Pipes: standard input and FIFOs, which may have no writer yet."""

from __future__ import annotations

import os
import select
import time
from contextlib import contextmanager
from typing import Iterator

import cv2

from ..console import Report
from ..files.pictures import SourceError
from .frames import PIPE_HINT, CapturedFrame, open_capture, read_frames
from .overlap import ahead

FFMPEG_INPUT = "pipe:0"
_STEP_S = 0.1


def pipe_frames(where: str, name: str, report: Report, wait_s: float) -> Iterator[CapturedFrame]:
    """Yield the pictures of a pipe, opened in a thread, so that the wait can be interrupted, and ends.

    Args:
        where: path of a FIFO, or FFMPEG_INPUT.
        name: of the pipe, for messages.
        report: receives warnings.
        wait_s: longest wait for the first picture, in seconds.

    Raises SourceError for a pipe that sends none.
    """

    def frames() -> Iterator[CapturedFrame]:
        with _with_data(where, wait_s) as opened:
            capture = open_capture(opened, name, (cv2.CAP_FFMPEG,), hint=PIPE_HINT)
            yield from read_frames(capture, name, report, hint=PIPE_HINT)

    try:
        yield from ahead(frames(), wait_s)
    except TimeoutError as error:
        raise SourceError(
            f"no picture came from {name} in {wait_s:g} s; start the program that writes to it first"
        ) from error


@contextmanager
def _with_data(where: str, wait_s: float) -> Iterator[str]:
    """Wait until a pipe has data or has ended; yield FFmpeg's name of it, open.

    OpenCV holds one lock of the process while it opens any video, so that a pipe without a writer would
    block all other videos and cameras. FFmpeg gets the open descriptor: opening a FIFO a second time would
    block where a short stream has been written whole, and its writer has gone.

    Raises TimeoutError if no data comes in `wait_s` seconds, and OSError if the FIFO cannot be opened.
    """
    if where == FFMPEG_INPUT:
        _wait(0, time.monotonic() + wait_s, ends=True)
        yield where
        return
    descriptor = os.open(where, os.O_RDONLY | os.O_NONBLOCK)
    try:
        _wait(descriptor, time.monotonic() + wait_s, ends=False)
        os.set_blocking(descriptor, True)
        yield f"pipe:{descriptor}"
    finally:
        os.close(descriptor)


def _wait(descriptor: int, deadline: float, *, ends: bool) -> None:
    """Wait for data; `ends`: a writer that has gone ends the wait, because no other can come."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while time.monotonic() < deadline:
        events = dict(poll.poll(1000 * _STEP_S)).get(descriptor, 0)
        if events & select.POLLIN or (events and ends):
            return
        if events:  # the writer of a FIFO has gone; `poll` would return at once
            time.sleep(_STEP_S)
    raise TimeoutError
