"""Sources of pictures: files, folders, videos, pipes and cameras. Existing paths take precedence."""

from __future__ import annotations

import os
import re
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Generator, Iterator, List, Optional, Union
from urllib.parse import unquote, urlsplit

import cv2

from ..command.arguments import RETRY_S, SOURCES
from ..console import Report, printable, redact, say
from ..files.image_header import picture_format
from ..files.pictures import LARGEST_FILE_BYTES, PICTURES, SourceError, read_bounded, read_picture
from .cameras import Camera, CameraGone, local_camera, network_camera, pipeline, stream_camera
from .frames import FILE_HINT, CapturedFrame, is_finite, open_capture, read_frames, stated_rate
from .pi_camera import pi_camera
from .pipes import FFMPEG_INPUT, pipe_frames

__all__ = ["PICTURES", "CameraGone", "CapturedFrame", "Source", "SourceError", "open_source", "read_picture"]

STANDARD_INPUT = "-"
_ADDRESS = re.compile(r"(rtsps?|https?|rtmps?|tcp|udp|rtp|srt)://", re.IGNORECASE)
_FILE_INTERFACES = (cv2.CAP_FFMPEG, cv2.CAP_GSTREAMER, cv2.CAP_OPENCV_MJPEG)
_VIDEO4LINUX = 81  # major number of Linux camera devices
_MOTION_JPEG = (".mjpeg", ".mjpg")
_SNIFFED_BYTES = 16


class Source(Iterator[CapturedFrame]):
    """The pictures of a source, one after the other.

    Attributes:
        still: True for picture files, False for videos and cameras.
        rate: frames per second in a video's container, or None.
        live: True for cameras.
        skipped: number of unreadable pictures so far.
    """

    def __init__(
        self,
        frames: Iterator[CapturedFrame],
        *,
        still: bool = False,
        rate: Optional[float] = None,
        live: bool = False,
    ) -> None:
        self._frames = frames
        self.still, self.rate, self.live, self.skipped = still, rate, live, 0

    def __next__(self) -> CapturedFrame:
        return next(self._frames)

    def close(self) -> None:
        """Release the source."""
        if isinstance(self._frames, Generator):
            with suppress(ValueError):  # a thread is still reading, and releases it
                self._frames.close()


def open_source(
    source: Union[str, Path], report: Optional[Report] = None, retry_s: float = RETRY_S
) -> Source:
    """Return the pictures of a source.

    Args:
        source: one of:
            - a picture file, or a folder of pictures, sorted by name;
            - a video file with any suffix;
            - a FIFO, or `-` for standard input, with a video stream;
            - the number or the device file of a camera, or `picamera2`;
            - a GStreamer pipeline that contains `!` and ends in `appsink`;
            - the address of a network camera, of which only the latest frame is used.
            An existing file or folder takes precedence.
        report: called with a sentence for each skipped picture; None prints to standard error.
        retry_s: seconds to wait for a camera that stopped sending, and for the first picture of a pipe.

    Raises SourceError at once if the source cannot be opened, and during iteration if no picture can be read.
    Raises CameraGone if a camera stops sending and does not come back.
    """
    report, text = report or say, str(source)
    if not text or "\0" in text:
        raise SourceError(f"the source is empty or has a zero byte; give {SOURCES}")
    if text == STANDARD_INPUT:
        return _standard_input(report, retry_s)
    if os.path.lexists(text):
        return _on_disk(text, report, retry_s)
    if text.lower().startswith("file://"):
        return open_source(unquote(urlsplit(text).path), report, retry_s)
    if camera := named_camera(text):
        return _camera(camera, report, retry_s)
    if text.startswith("/dev/"):
        cameras = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
        raise SourceError(f"no device '{_shown(text)}'; cameras of this machine: {cameras}")
    raise SourceError(f"no source '{_shown(text)}'; give {SOURCES}")


def named_camera(text: str) -> Optional[Camera]:
    """Return the camera that a source names unless a file has that name, or None; it is opened later."""
    if text == "picamera2":
        return pi_camera()
    if re.fullmatch(r"\d{1,3}", text):
        return local_camera(int(text), f"camera {text}")
    if _ADDRESS.match(text):
        return network_camera(text, f"'{_shown(text)}'")
    return pipeline(text) if "!" in text else None


def _shown(source: str) -> str:
    return printable(redact(source), keep="")


def _on_disk(source: str, report: Report, retry_s: float) -> Source:
    """Open a path. Raises SourceError for devices other than cameras, sockets and dangling links."""
    path = Path(source)
    try:
        found = path.stat()
    except OSError as error:
        raise SourceError(f"cannot read '{_shown(source)}': {error.strerror}") from error
    if stat.S_ISDIR(found.st_mode):
        return _folder(path, report)
    if stat.S_ISREG(found.st_mode):
        return _file(path, report)
    if stat.S_ISFIFO(found.st_mode):
        return Source(pipe_frames(source, f"pipe '{_shown(source)}'", report, retry_s))
    if stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) == _VIDEO4LINUX:
        return _camera(local_camera(os.path.realpath(source), f"camera '{_shown(source)}'"), report, retry_s)
    raise SourceError(f"'{_shown(source)}' is a device or a socket, not a camera; give {SOURCES}")


def _camera(camera: Camera, report: Report, retry_s: float) -> Source:
    capture = camera.open()
    if not camera.ends and is_finite(capture):  # a file on a server
        return Source(read_frames(capture, camera.name, report), rate=stated_rate(capture))
    return Source(stream_camera(camera, capture, retry_s=retry_s, report=report), live=True)


def _standard_input(report: Report, wait_s: float) -> Source:
    """Open standard input; a redirected file is read like any other file."""
    if sys.stdin is not None and sys.stdin.isatty():
        raise SourceError("standard input is a terminal; send a video stream to it, or name a source")
    if stat.S_ISREG(os.fstat(0).st_mode) and os.path.exists("/dev/stdin"):
        return _file(Path("/dev/stdin"), report)
    return Source(pipe_frames(FFMPEG_INPUT, "standard input", report, wait_s))


def _file(path: Path, report: Report) -> Source:
    """Open a picture or a video, depending on its content."""
    name = _shown(str(path))
    if _is_picture(path):
        return Source(iter([CapturedFrame(path.name, read_picture(path), 0.0)]), still=True)
    try:
        capture = _open_video(path, f"video '{name}'")
    except SourceError:
        if path.suffix.lower() in PICTURES:
            read_picture(path)  # raises the error of a damaged picture
        raise
    return Source(read_frames(capture, f"video '{name}'", report), rate=stated_rate(capture))


def _open_video(path: Path, name: str) -> Any:
    absolute = os.path.abspath(str(path))  # FFmpeg would read a relative name with a colon as an address
    if _is_utf8(absolute):
        return open_capture(absolute, name, _FILE_INTERFACES, hint=FILE_HINT)
    with open(path, "rb") as file:
        return open_capture(f"/proc/self/fd/{file.fileno()}", name, _FILE_INTERFACES, hint=FILE_HINT)


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _is_picture(path: Path) -> bool:
    """Return whether a file holds exactly one picture; a Motion JPEG stream is a sequence of JPEG files."""
    try:
        with open(path, "rb") as file:
            kind = picture_format(file.read(_SNIFFED_BYTES))
    except OSError as error:
        raise SourceError(f"cannot read '{_shown(str(path))}': {error.strerror}") from error
    if kind != "jpeg" or path.suffix.lower() in PICTURES:
        return kind is not None
    if path.suffix.lower() in _MOTION_JPEG or path.stat().st_size > LARGEST_FILE_BYTES:
        return False
    return b"\xff\xd9\xff\xd8" not in read_bounded(path, f"'{_shown(str(path))}'")


def _folder(path: Path, report: Report) -> Source:
    """Open the pictures in a folder, recognized by suffix or by their first bytes."""
    try:
        files = sorted(file for file in path.iterdir() if not file.is_dir() and _looks_like_picture(file))
    except OSError as error:
        raise SourceError(f"cannot read folder '{_shown(str(path))}': {error.strerror}") from error
    if not files:
        raise SourceError(
            f"no pictures in folder '{_shown(str(path))}'; known: {', '.join(kind[1:] for kind in PICTURES)}"
        )
    return _Folder(path, files, report)


def _looks_like_picture(file: Path) -> bool:
    if file.suffix or not file.is_file():
        return file.suffix.lower() in PICTURES
    try:
        with open(file, "rb") as opened:
            return picture_format(opened.read(_SNIFFED_BYTES)) is not None
    except OSError:
        return False


class _Folder(Source):
    """The readable picture files of a folder."""

    def __init__(self, folder: Path, files: List[Path], report: Report) -> None:
        super().__init__(self._read(folder, files, report), still=True)

    def _read(self, folder: Path, files: List[Path], report: Report) -> Iterator[CapturedFrame]:
        for file in files:
            try:
                picture = read_picture(file)
            except SourceError as error:
                self.skipped += 1
                report(f"skipped: {error}")
                continue
            yield CapturedFrame(file.name, picture, 0.0)
        if self.skipped == len(files):
            raise SourceError(f"none of the {len(files)} pictures in '{_shown(str(folder))}' can be read")
