"""Sources of pictures: a file, a folder, a video, a pipe, a camera. Whatever exists on disk comes first."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path
from typing import Any, Generator, Iterator, List, Optional, Union
from urllib.parse import unquote, urlsplit

import cv2

from ..command.arguments import RETRY_S
from ..console import Report, printable, redact, say
from ..files.image_header import picture_format
from ..files.pictures import LARGEST_FILE_BYTES, PICTURES, SourceError, read_bounded, read_picture
from .cameras import Camera, CameraGone, local_camera, network_camera, picamera2, pipeline, watch_camera
from .frames import FILE_HINT, PIPE_HINT, Shot, is_finite, open_capture, read_frames, stated_rate
from .overlap import ahead

__all__ = ["PICTURES", "CameraGone", "Shot", "Source", "SourceError", "open_source", "read_picture"]

KINDS = "a picture, a folder, a video, a pipe, '-', a camera's number or /dev/video0, a GStreamer pipeline, rtsp://, http:// or picamera2"
STANDARD_INPUT = "-"
_ADDRESS = re.compile(r"(rtsps?|https?|rtmps?|tcp|udp|rtp|srt)://", re.IGNORECASE)
_FILE_INTERFACES = (cv2.CAP_FFMPEG, cv2.CAP_GSTREAMER, cv2.CAP_OPENCV_MJPEG)
_VIDEO4LINUX = 81  # major number of Linux camera devices
_MOTION_JPEG = (".mjpeg", ".mjpg")
_SNIFFED_BYTES = 16


class Source(Iterator[Shot]):
    """The pictures of a source, one after the other.

    Attributes:
        still: True for picture files, False for videos and cameras.
        rate: frames per second as a video's container states them, or None.
        live: True for cameras.
        skipped: pictures that could not be read so far.
    """

    def __init__(
        self, shots: Iterator[Shot], still: bool = False, rate: Optional[float] = None, live: bool = False
    ) -> None:
        self._shots = shots
        self.still, self.rate, self.live, self.skipped = still, rate, live, 0

    def __next__(self) -> Shot:
        return next(self._shots)

    def close(self) -> None:
        """Release the source."""
        if isinstance(self._shots, Generator):
            try:
                self._shots.close()
            except ValueError:  # a thread is still reading, and releases it
                pass


def open_source(
    source: Union[str, Path], report: Optional[Report] = None, retry_s: float = RETRY_S
) -> Source:
    """Return the pictures of a source.

    Args:
        source: a picture file; a folder, its pictures in the order of their names; a video file, whatever its suffix; a FIFO, or `-`
            for standard input, with a video stream; the number or the device file of a camera; a GStreamer pipeline, with a `!` in
            it, that ends in `appsink`; the address of a network camera, only its newest picture is used; or `picamera2`.
            A file or folder of that name comes first.
        report: called with a sentence for each picture that is skipped; None prints to standard error.
        retry_s: give up so many seconds after a camera went away.

    Raises SourceError at once where the source cannot be opened, and during iteration where not one picture can be read;
    CameraGone where a camera goes away and does not come back.
    """
    report, text = report or say, str(source)
    if not text or "\0" in text:
        raise SourceError(f"the source is empty or has a zero byte; give {KINDS}")
    if text == STANDARD_INPUT:
        return _standard_input(report)
    if os.path.lexists(text):
        return _on_disk(text, report, retry_s)
    if text.lower().startswith("file://"):
        return open_source(unquote(urlsplit(text).path), report, retry_s)
    if text == "picamera2":
        return Source(picamera2(), live=True)
    if re.fullmatch(r"\d{1,3}", text):
        return _camera(local_camera(int(text), f"camera {text}"), report, retry_s)
    if _ADDRESS.match(text):
        return _camera(network_camera(text, f"'{_shown(text)}'"), report, retry_s)
    if "!" in text:
        return _camera(pipeline(text), report, retry_s)
    if text.startswith("/dev/"):
        cameras = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
        raise SourceError(f"no device '{_shown(text)}'; cameras of this machine: {cameras}")
    raise SourceError(f"no source '{_shown(text)}'; give {KINDS}")


def _shown(source: str) -> str:
    return printable(redact(source), keep="")


def _on_disk(source: str, report: Report, retry_s: float) -> Source:
    """Open what a path leads to. Raises SourceError for devices that are no cameras, sockets and dangling links."""
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
        return _stream(source, f"pipe '{_shown(source)}'", report)
    if stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) == _VIDEO4LINUX:
        return _camera(local_camera(os.path.realpath(source), f"camera '{_shown(source)}'"), report, retry_s)
    raise SourceError(f"'{_shown(source)}' is a device or a socket, and no camera; give {KINDS}")


def _camera(camera: Camera, report: Report, retry_s: float) -> Source:
    capture = camera.open()
    if not camera.ends and is_finite(capture):  # a file on a server
        return Source(read_frames(capture, camera.name, report), rate=stated_rate(capture))
    return Source(watch_camera(camera, capture, retry_s=retry_s, report=report), live=True)


def _standard_input(report: Report) -> Source:
    """Open standard input; a file that the shell redirected is read like any other file."""
    if sys.stdin is not None and sys.stdin.isatty():
        raise SourceError("standard input is a terminal; send a video stream to it, or name a source")
    if stat.S_ISREG(os.fstat(0).st_mode) and os.path.exists("/dev/stdin"):
        return _file(Path("/dev/stdin"), report)
    return _stream("pipe:0", "standard input", report)


def _stream(where: str, name: str, report: Report) -> Source:
    """Open a pipe; a thread reads it, so that the wait for its writer can be interrupted."""

    def frames() -> Iterator[Shot]:
        yield from read_frames(
            open_capture(where, name, (cv2.CAP_FFMPEG,), hint=PIPE_HINT), name, report, hint=PIPE_HINT
        )

    return Source(ahead(frames()))


def _file(path: Path, report: Report) -> Source:
    """Open a file by its content: a picture or a video."""
    name = _shown(str(path))
    if _is_picture(path):
        return Source(iter([Shot(path.name, read_picture(path), 0.0)]), still=True)
    try:
        capture = _open_video(path, f"video '{name}'")
    except SourceError:
        if path.suffix.lower() in PICTURES:
            read_picture(path)  # raises the error of a damaged picture
        raise
    return Source(read_frames(capture, f"video '{name}'", report), rate=stated_rate(capture))


def _open_video(path: Path, name: str) -> Any:
    absolute = os.path.abspath(str(path))  # FFmpeg takes a relative name with a colon for an address
    if _is_utf8(absolute):
        return open_capture(absolute, name, _FILE_INTERFACES, hint=FILE_HINT)
    with open(path, "rb") as file:
        return open_capture(f"/proc/self/fd/{file.fileno()}", name, _FILE_INTERFACES, hint=FILE_HINT)


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _is_picture(path: Path) -> bool:
    """Return whether a file holds one picture. A Motion JPEG stream starts like a JPEG file, and goes on with another."""
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
    """Open the pictures in a folder: files with a picture's suffix, or a picture's first bytes."""
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
    """The readable ones of the picture files in a folder."""

    def __init__(self, folder: Path, files: List[Path], report: Report) -> None:
        super().__init__(self._read(folder, files, report), still=True)

    def _read(self, folder: Path, files: List[Path], report: Report) -> Iterator[Shot]:
        for file in files:
            try:
                picture = read_picture(file)
            except SourceError as error:
                self.skipped += 1
                report(f"skipped: {error}")
                continue
            yield Shot(file.name, picture, 0.0)
        if self.skipped == len(files):
            raise SourceError(f"none of the {len(files)} pictures in '{_shown(str(folder))}' can be read")
