"""Where pictures come from: a file, a folder, a video, a camera."""

from __future__ import annotations

import re
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Callable, Generator, Iterator, List, NamedTuple, Optional, Union

import cv2
import numpy as np

from ..errors import PoseError
from .image_header import picture_size
from .latest_frame import Taken, newest

PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
LARGEST_FILE_BYTES = 256 * 2**20
LARGEST_PICTURE_PIXELS = 100 * 10**6
CAMERA_SIZE = (720, 1280)

Report = Callable[[str], None]


class SourceError(PoseError):
    """A source of pictures that cannot be read."""


class Shot(NamedTuple):
    """One picture of a source.

    Attributes:
        name: file name, or the frame's number.
        picture: (height, width, 3) uint8 BGR.
        seconds: since the first picture; 0 for files.
    """

    name: str
    picture: np.ndarray
    seconds: float


def read_picture(path: Union[str, Path]) -> np.ndarray:
    """Return a picture file as (height, width, 3) uint8 BGR, turned as its EXIF orientation says.

    So people stand upright and `joints_px` fit the picture as every viewer shows it. Grey, transparent and 16-bit files are
    converted by cv2. Raises SourceError where the file is no PNG, JPEG, BMP or WebP, damaged, or too large.
    """
    path = Path(path)
    try:
        size_bytes = path.stat().st_size
        if size_bytes > LARGEST_FILE_BYTES:
            raise SourceError(
                f"'{path}' has {size_bytes / 1e6:.0f} MB, pictures may have {LARGEST_FILE_BYTES / 1e6:.0f}"
            )
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot read picture '{path}': {error.strerror}") from error
    size = picture_size(content)
    if size is None:
        raise SourceError(f"'{path}' is no picture; known: {', '.join(kind[1:] for kind in PICTURES)}")
    if size[0] * size[1] > LARGEST_PICTURE_PIXELS:
        raise SourceError(
            f"'{path}' has {size[0]} x {size[1]} pixels, pictures may have {LARGEST_PICTURE_PIXELS // 10**6} million; reduce it"
        )
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise SourceError(f"picture '{path}' is damaged: {error}") from error
    if picture is None:
        raise SourceError(f"picture '{path}' is damaged: its header is sound, its pixels are not")
    return picture


def open_source(source: str, report: Optional[Report] = None) -> Iterator[Shot]:
    """Return the pictures of a source, one after the other.

    Args:
        source: a picture file; a folder, whose pictures come in the order of their names; a video file; the number of a
            camera; a GStreamer pipeline (it has a `!` in it and ends in `appsink`); the `rtsp://…` or `http://…` of a camera in
            the network, of which only the newest picture is seen; or `picamera2`.
        report: is told, in one sentence each, what is skipped; None prints to standard error.

    Raises SourceError at once where the source cannot be opened, and at the end where not one picture could be read.
    """
    report = report or _print
    path = Path(source)
    if source == "picamera2":
        return _picamera2()
    if re.fullmatch(r"\d{1,3}", source):
        return _live(_in_turn(_capture(int(source), f"camera {source}")))
    if "!" in source:
        return _live(_in_turn(_capture(source, "the GStreamer pipeline", cv2.CAP_GSTREAMER)))
    if re.match(r"(rtsp|http)s?://", source):
        return _live(newest(_capture(source, f"'{source}'")))
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in PICTURES and file.is_file())
        if not files:
            raise SourceError(
                f"no pictures in folder '{source}'; known: {', '.join(kind[1:] for kind in PICTURES)}"
            )
        return _files(files, source, report)
    if path.suffix.lower() in PICTURES and path.exists():
        return iter([Shot(path.name, read_picture(path), 0.0)])
    if path.is_file():
        return _video(_capture(source, f"video '{source}'"), source, report)
    raise SourceError(
        f"no source '{source}'; give a picture, a folder, a video, a camera's number, a GStreamer pipeline, rtsp://, http:// or picamera2"
    )


def _print(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _files(files: List[Path], source: str, report: Report) -> Iterator[Shot]:
    """Yield the readable ones of picture files."""
    readable = 0
    for file in files:
        try:
            picture = read_picture(file)
        except SourceError as error:
            report(f"skipped: {error}")
            continue
        readable += 1
        yield Shot(file.name, picture, 0.0)
    if not readable:
        raise SourceError(f"none of the {len(files)} pictures in '{source}' can be read")


def _capture(where: Union[int, str], what: str, interface: int = cv2.CAP_ANY) -> Any:
    """Return an opened cv2.VideoCapture. Raises SourceError where it does not open."""
    try:
        capture = cv2.VideoCapture(where, interface)
    except cv2.error as error:
        raise SourceError(f"cannot open {what}: {error}") from error
    if not capture.isOpened():
        capture.release()
        hint = (
            "this cv2 may be built without GStreamer"
            if interface == cv2.CAP_GSTREAMER
            else "is it there, free, and of a kind that cv2 reads?"
        )
        raise SourceError(f"cannot open {what}; {hint}")
    return capture


def _video(capture: Any, source: str, report: Report) -> Iterator[Shot]:
    """Yield the frames of a video file with the times that it states."""
    stated, rate = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    number, seconds = 0, 0.0
    try:
        while True:
            is_read, picture = capture.read()
            if not is_read:
                break
            position = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            # Some containers state no times; the rate does then.
            seconds = (
                position if position > seconds or not number else seconds + (1 / rate if rate > 0 else 0.04)
            )
            yield Shot(f"{number:06d}", picture, seconds)
            number += 1
    finally:
        capture.release()
    if not number:
        raise SourceError(f"no frame of '{source}' can be read; is it a video of a kind that cv2 reads?")
    if number < 0.9 * stated:
        report(
            f"video '{source}' states {stated:.0f} frames, {number} could be read: it is cut off or damaged"
        )


def _in_turn(capture: Any) -> Generator[Taken, None, None]:
    """Yield what a capture reads, and when, one after the other."""
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # a camera's newest picture, not one from a queue
    try:
        while True:
            is_read, picture = capture.read()
            if not is_read:
                break
            yield picture, time.monotonic()
    finally:
        capture.release()


def _live(pictures: Generator[Taken, None, None]) -> Iterator[Shot]:
    """Yield what a camera shows until it stops."""
    started, number = 0.0, 0
    with closing(pictures):
        for picture, came in pictures:
            started = started or came
            yield Shot(f"{number:06d}", picture, came - started)
            number += 1
    if not number:
        raise SourceError("the camera opened but gave no picture; is another program using it?")


def _picamera2() -> Iterator[Shot]:
    """Yield what a Raspberry Pi's camera shows, by the picamera2 library."""
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise SourceError(
            f"source 'picamera2' cannot be imported ({error}): sudo apt install python3-picamera2"
        ) from error
    camera = Picamera2()
    height, width = CAMERA_SIZE
    # picamera2 names formats by the bytes of a little-endian word: RGB888 is B, G, R in memory.
    camera.configure(camera.create_video_configuration(main={"size": (width, height), "format": "RGB888"}))
    camera.start()
    return _picamera2_shots(camera)


def _picamera2_shots(camera: Any) -> Iterator[Shot]:
    started, number = time.monotonic(), 0
    try:
        while True:
            yield Shot(f"{number:06d}", camera.capture_array("main"), time.monotonic() - started)
            number += 1
    finally:
        camera.stop()
        camera.close()
