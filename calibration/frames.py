"""Calibration frames: pictures of a folder, a video or a listing, chosen the same way every time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from toolkit.errors import PosecError
from toolkit.runtime.pose import PoseSpec
from toolkit.runtime.preprocess import PictureError, check_picture, place

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class Frames:
    """Pictures to calibrate on; iterating reads them anew, one at a time, as (height, width, 3) uint8 BGR.

    Attributes:
        source: the folder, video or listing, for messages.
        spec: of the network that will see them.
        names: one per frame: a path below the source, or a frame's number in a video.
        hashes: one per frame, see `picture_sha256`.
        unreadable: (name, why) of what was asked for and could not be read.
    """

    source: str
    spec: PoseSpec
    names: tuple[str, ...]
    hashes: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    read: Callable[[Sequence[str]], Iterator[np.ndarray | None]]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[np.ndarray]:
        for name, picture in zip(self.names, self.read(self.names), strict=True):
            if picture is None:
                raise PosecError(
                    f"'{name}' of '{self.source}' could be read before and cannot now; leave the frames in place"
                )
            yield picture

    def take(self, indices: Iterable[int]) -> Frames:
        """Return the frames at these indices, in their present order."""
        kept = sorted(set(indices))
        return replace(
            self, names=tuple(self.names[i] for i in kept), hashes=tuple(self.hashes[i] for i in kept)
        )


def folder(path: str | Path, spec: PoseSpec, count: int | None = None, seed: int = 0) -> Frames:
    """Return `count` pictures, or all, of a folder and the folders in it; the same seed chooses the same ones.

    A picture that cannot be read is reported in `Frames.unreadable` and another takes its place. Raises PosecError where
    there is no folder or nothing readable in it.
    """
    root = Path(path)
    if not root.is_dir():
        raise PosecError(
            f"no folder '{path}' with calibration frames; give a folder of pictures, a video, or a listing"
        )
    names = sorted(
        found.relative_to(root).as_posix()
        for found in root.rglob("*")
        if found.suffix.lower() in PICTURES and found.is_file()
    )
    if not names:
        raise PosecError(f"no pictures in '{path}'; these are read: {', '.join(PICTURES)}")
    return _choose(root, names, spec, count, seed)


def listing(path: str | Path, spec: PoseSpec, count: int | None = None, seed: int = 0) -> Frames:
    """Return `count` pictures, or all, of a text file that names one per line, relative to it; lines that start with # do not count.

    Otherwise as `folder`.
    """
    try:
        lines = [line.strip() for line in Path(path).read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise PosecError(
            f"'{path}' is no listing of pictures ({error}); give a text file with one path per line"
        ) from error
    names = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not names:
        raise PosecError(f"listing '{path}' names no picture; write one path per line")
    return _choose(Path(path).parent, names, spec, count, seed, source=str(path))


def video(path: str | Path, spec: PoseSpec, count: int | None = None, seed: int = 0) -> Frames:
    """Return `count` frames, or all, of a video: one from each of `count` equal parts, by the seed.

    Raises PosecError where the file is no video or none of its frames can be read.
    """
    capture = cv2.VideoCapture(str(path)) if Path(path).is_file() else None
    length = int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture is not None else 0
    if capture is not None:
        capture.release()
    if length < 1:
        raise PosecError(
            f"'{path}' is not a video that can be read; give a folder of pictures, a video, or a listing"
        )
    edges = np.linspace(0, length, min(_checked(count, length), length) + 1)
    shares = np.random.default_rng(seed).random(len(edges) - 1)
    chosen = (edges[:-1] + shares * np.diff(edges)).astype(int)
    names = [str(index) for index in (chosen if count is not None else range(length))]
    return _readable(str(path), names, spec, len(names), lambda wanted: _video_frames(Path(path), wanted))


def picture_sha256(picture: np.ndarray) -> str:
    """Return the hash of a picture's size and pixels: equal for two files that decode to the same."""
    return hashlib.sha256(repr(picture.shape).encode() + np.ascontiguousarray(picture).tobytes()).hexdigest()


def _checked(count: int | None, length: int) -> int:
    if count is not None and count < 1:
        raise PosecError(f"asked for {count} calibration frames; ask for at least 1, 64 to 256 are usual")
    return length if count is None else count


def _choose(
    root: Path, names: list[str], spec: PoseSpec, count: int | None, seed: int, source: str = ""
) -> Frames:
    wanted = _checked(count, len(names))
    order = (
        names if count is None else [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    )
    return _readable(
        source or str(root),
        order,
        spec,
        wanted,
        lambda paths: (cv2.imread(str(root / name)) for name in paths),
    )


def _readable(
    source: str,
    names: Sequence[str],
    spec: PoseSpec,
    count: int,
    read: Callable[[Sequence[str]], Iterator[np.ndarray | None]],
) -> Frames:
    """Read names in order until `count` pictures are good."""
    good: list[tuple[str, str]] = []
    bad: list[tuple[str, str]] = []
    for name, picture in zip(names, read(names), strict=True):
        if fault := _fault(picture, spec):
            bad.append((name, fault))
        elif picture is not None:
            good.append((name, picture_sha256(picture)))
        if len(good) == count:
            break
    if not good:
        raise PosecError(
            f"none of {len(bad)} frames of '{source}' can be read; the first, '{bad[0][0]}': {bad[0][1]}"
        )
    return Frames(
        source, spec, tuple(name for name, _ in good), tuple(digest for _, digest in good), tuple(bad), read
    )


def _fault(picture: np.ndarray | None, spec: PoseSpec) -> str:
    if picture is None:
        return "not a picture that can be decoded"
    try:
        check_picture(picture)
        place(picture.shape[0], picture.shape[1], spec)
    except PictureError as error:
        return str(error)
    return ""


def _video_frames(path: Path, names: Sequence[str]) -> Iterator[np.ndarray | None]:
    """Yield frames by ascending number; None for what the video does not have."""
    capture = cv2.VideoCapture(str(path))
    position = 0
    try:
        for index in map(int, names):
            while position < index and capture.grab():
                position += 1
            good, picture = capture.read() if position == index else (False, None)
            position += bool(good)
            yield picture if good else None
    finally:
        capture.release()
