"""Frames of a video that cv2 reads, with the times in the stream."""

from __future__ import annotations

from typing import Any, Callable, Iterator, NamedTuple, Optional, Sequence, Union

import cv2
import numpy as np

from ..console import Report, redact
from ..files.pictures import LARGEST_PICTURE_PIXELS, SourceError, silence_cv2

FILE_HINT = "is it complete, and a picture or video of a kind that cv2 reads?"
PIPE_HINT = "a pipe takes formats that need no seeking: Matroska, MPEG-TS, fragmented MP4, Motion JPEG"
DEFAULT_STEP_S = 0.04
# Containers without a frame count report one below zero or above this.
MOST_FRAMES = 10**9
# A file with a smaller part of its frames and of its time is cut off.
COMPLETE = 0.9


class CapturedFrame(NamedTuple):
    """One picture of a source.

    Attributes:
        name: file name, or the frame's number.
        picture: (height, width, 3) uint8 BGR.
        seconds: since the first picture; 0 for picture files.
        dropped: number of pictures of a camera that were left out since the last one.
        unix_s: wall-clock time of a camera's picture, in seconds since 1970; None for files.
    """

    name: str
    picture: np.ndarray
    seconds: float
    dropped: int = 0
    unix_s: Optional[float] = None


def open_capture(
    where: Union[int, str],
    name: str,
    interfaces: Sequence[int],
    *,
    hint: Union[str, Callable[[], str]],
    options: Optional[Sequence[int]] = None,
) -> Any:
    """Return an opened cv2.VideoCapture.

    Args:
        where: a camera's number, a file name, an address or a GStreamer pipeline.
        name: for errors, without credentials.
        interfaces: of cv2, tried in turn; CAP_ANY would also read numbered pictures and print passwords.
        hint: advice for the error, or a function that returns it.
        options: pairs of property and value, for FFmpeg.

    Raises SourceError if no interface opens it.
    """
    silence_cv2()
    fault = ""
    for interface in interfaces:
        try:
            capture = (
                cv2.VideoCapture(where, interface, list(options))
                if options and interface == cv2.CAP_FFMPEG
                else cv2.VideoCapture(where, interface)
            )
        except cv2.error as error:
            fault = redact(f" ({error})")
            continue
        if capture.isOpened():
            width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
            if width * height <= LARGEST_PICTURE_PIXELS:
                return capture
            capture.release()
            raise SourceError(
                f"{name} has frames of {width:.0f} x {height:.0f} pixels, "
                f"they may have {LARGEST_PICTURE_PIXELS // 10**6} million"
            )
        capture.release()
    raise SourceError(f"cannot open {name}{fault}; {hint if isinstance(hint, str) else hint()}")


def is_finite(capture: Any) -> bool:
    """Return whether a capture has a number of frames: it is then a file and not a camera."""
    return bool(0 < capture.get(cv2.CAP_PROP_FRAME_COUNT) < MOST_FRAMES)


def stated_rate(capture: Any) -> Optional[float]:
    """Return the frames per second in a container, or None."""
    rate = float(capture.get(cv2.CAP_PROP_FPS))
    return rate if 0 < rate < 1000 else None


def read_frames(capture: Any, name: str, report: Report, *, hint: str = FILE_HINT) -> Iterator[CapturedFrame]:
    """Yield the frames of a video file, with times from 0.

    Raises SourceError if no frame can be read. `report` gets a sentence if the file ends early.
    """
    count, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), stated_rate(capture)
    number, first, seconds, ticks = 0, 0.0, 0.0, -1.0
    try:
        while True:
            is_read, picture = capture.read()
            if not is_read:
                break
            position = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            if not number:
                first, ticks = (
                    position,
                    capture.get(cv2.CAP_PROP_PTS) if hasattr(cv2, "CAP_PROP_PTS") else -1.0,
                )
            elif position - first > seconds:
                seconds = position - first
            else:  # some containers have no times
                seconds += 1 / rate if rate else DEFAULT_STEP_S
            yield CapturedFrame(f"{number:06d}", picture, seconds)
            number += 1
    finally:
        capture.release()
    if not number:
        raise SourceError(f"no frame of {name} can be read; {hint}")
    # A recorder's file may start late, and frame counts estimated from its length include that time.
    # `ticks` are the frames between 0 s and its start.
    stated = count - ticks
    if rate and ticks >= 0 and stated < MOST_FRAMES and max(number, seconds * rate + 1) < COMPLETE * stated:
        report(f"{name} states {stated:.0f} frames, {number} could be read: it is cut off or damaged")
