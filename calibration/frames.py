"""Calibration frames: pictures of a folder, a video or a listing, chosen the same way every time.

All of them are read by `toolkit.runtime.video.sources`, as `posec run` reads them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from toolkit.errors import PosecError
from toolkit.runtime.errors import PoseError
from toolkit.runtime.files.plain_files import read_plain
from toolkit.runtime.pose import PoseSpec
from toolkit.runtime.preprocess import check_picture, place
from toolkit.runtime.video.sources import PICTURES, open_source, read_picture

# Pictures that `read_picture` refuses: a folder reports them as unreadable instead of skipping them.
OTHER_PICTURES = (".avif", ".gif", ".heic", ".heif", ".jp2", ".tif", ".tiff")
LARGEST_LISTING_BYTES = 64 * 2**20
LARGEST_SEED = 2**63 - 1

Readings = Iterator["np.ndarray | PoseError"]


@dataclass(frozen=True)
class Frames:
    """Pictures to calibrate on; iterating reads them again, one at a time, as (height, width, 3) uint8 BGR.

    Attributes:
        source: the folder, video or listing, for messages.
        spec: contract of the network that they are for.
        names: one per frame: path below the source, or frame number in a video.
        hashes: one per frame, see `picture_sha256`.
        unreadable: (name, reason) of each selected picture that could not be read.
        read: returns the picture of each name in turn, or the error that it gave.
    """

    source: str
    spec: PoseSpec
    names: tuple[str, ...]
    hashes: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]
    read: Callable[[Sequence[str]], Readings]

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[np.ndarray]:
        for name, picture in zip(self.names, self.read(self.names), strict=True):
            if isinstance(picture, PoseError):
                raise PosecError(
                    f"frame '{name}' of '{self.source}' can no longer be read ({picture}); "
                    "keep the frames in place"
                ) from picture
            yield picture

    def take(self, indices: Iterable[int]) -> Frames:
        """Return the frames at these indices, in their present order."""
        kept = sorted(set(indices))
        return replace(
            self, names=tuple(self.names[i] for i in kept), hashes=tuple(self.hashes[i] for i in kept)
        )


def folder(path: str | Path, spec: PoseSpec, *, count: int | None = None, seed: int = 0) -> Frames:
    """Return `count` pictures, or all, of a folder and its subfolders; the seed decides which.

    `Frames.unreadable` lists pictures that cannot be read; others take their places. Raises PosecError where
    there is no folder, or no readable picture in it.
    """
    root = Path(path)
    if not root.is_dir():
        raise PosecError(
            f"no folder '{path}' with calibration frames; give a folder of pictures, a video, or a listing"
        )
    suffixes = (*PICTURES, *OTHER_PICTURES)
    names = sorted(
        found.relative_to(root).as_posix()
        for found in root.rglob("*")
        if found.suffix.lower() in suffixes and found.is_file()
    )
    if not names:
        raise PosecError(f"no pictures in '{path}'; supported: {', '.join(PICTURES)}")
    return _choose(root, names, spec, count=count, seed=seed)


def listing(path: str | Path, spec: PoseSpec, *, count: int | None = None, seed: int = 0) -> Frames:
    """Return `count` pictures, or all, of a text file with one path per line, relative to the file.

    Lines that start with # are comments. Names need not be UTF-8. Otherwise as `folder`.
    """
    advice = "give a text file with one path per line"
    content = read_plain(path, most_bytes=LARGEST_LISTING_BYTES, error=PosecError, advice=advice)
    lines = [os.fsdecode(line.strip()) for line in content.removeprefix(b"\xef\xbb\xbf").splitlines()]
    names = list(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not names:
        raise PosecError(f"listing '{path}' names no picture; write one path per line")
    return _choose(Path(path).parent, names, spec, count=count, seed=seed, source=str(path))


def video(path: str | Path, spec: PoseSpec, *, count: int | None = None, seed: int = 0) -> Frames:
    """Return `count` frames, or all, of a video: one of each of `count` equal parts, by the seed.

    Frames are counted by reading them, because many containers state no number or a wrong one. Raises
    PosecError where the file is not a video, or not one frame can be read.
    """
    random = generator(seed)
    _checked(count)
    if not Path(path).is_file():
        raise PosecError(f"no video '{path}'; give a folder of pictures, a video, or a listing")
    faults: list[str] = []
    try:
        wanted = (
            None
            if count is None
            else _spread(sum(1 for _ in open_source(str(path), faults.append)), count, random)
        )
        faults.clear()
        shots = enumerate(open_source(str(path), faults.append))
        readings = (
            (str(number), shot.picture) for number, shot in shots if wanted is None or number in wanted
        )
        frames = _readable(
            str(path), readings, spec, count=None, read=lambda names: _video_frames(Path(path), names)
        )
    except PoseError as error:
        raise PosecError(f"{error}; give a folder of pictures, a video, or a listing") from error
    return replace(frames, unreadable=(*frames.unreadable, *((Path(path).name, fault) for fault in faults)))


def picture_sha256(picture: np.ndarray) -> str:
    """Return the hash of a picture's size and pixels: equal for two files that decode to the same."""
    return hashlib.sha256(repr(picture.shape).encode() + np.ascontiguousarray(picture).tobytes()).hexdigest()


def generator(seed: int) -> np.random.Generator:
    """Return a random generator. Raises PosecError for a seed below 0 or above 2**63 - 1."""
    if not 0 <= seed <= LARGEST_SEED:
        raise PosecError(f"the seed must lie between 0 and {LARGEST_SEED}, got {seed}")
    return np.random.default_rng(seed)


def _checked(count: int | None) -> None:
    if count is not None and count < 1:
        raise PosecError(
            f"the number of calibration frames must be at least 1, got {count}; 64 to 256 are usual"
        )


def _spread(length: int, count: int, random: np.random.Generator) -> set[int]:
    """Return one frame number of each of `count` equal parts of a video, or all where it has fewer frames."""
    edges = np.linspace(0, length, min(count, length) + 1).astype(int)
    return set((edges[:-1] + random.random(len(edges) - 1) * np.diff(edges)).astype(int).tolist())


def _choose(
    root: Path, names: list[str], spec: PoseSpec, *, count: int | None, seed: int, source: str = ""
) -> Frames:
    _checked(count)
    random = generator(seed)
    order = names if count is None else [names[i] for i in random.permutation(len(names))]

    def read(paths: Sequence[str]) -> Readings:
        return (_read(root / name) for name in paths)

    return _readable(source or str(root), zip(order, read(order), strict=True), spec, count=count, read=read)


def _read(path: Path) -> np.ndarray | PoseError:
    try:
        return read_picture(path)
    except PoseError as error:
        return error


def _readable(
    source: str,
    readings: Iterable[tuple[str, np.ndarray | PoseError]],
    spec: PoseSpec,
    *,
    count: int | None,
    read: Callable[[Sequence[str]], Readings],
) -> Frames:
    """Return the first `count` readings, or all, that fit a network of `spec`."""
    good: list[tuple[str, str]] = []
    bad: list[tuple[str, str]] = []
    for name, picture in readings:
        if fault := _fault(picture, spec):
            bad.append((name, fault))
        elif not isinstance(picture, PoseError):
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


def _fault(picture: np.ndarray | PoseError, spec: PoseSpec) -> str:
    if isinstance(picture, PoseError):
        return str(picture)
    try:
        check_picture(picture)
        place(picture.shape[0], picture.shape[1], spec)
    except PoseError as error:
        return str(error)
    return ""


def _video_frames(path: Path, names: Sequence[str]) -> Readings:
    """Yield frames by ascending number, or an error where the video has no such frame any more."""
    wanted = iter(map(int, names))
    number: int | None = next(wanted, None)
    try:
        for index, shot in enumerate(open_source(str(path), lambda _: None)):
            if index == number:
                yield shot.picture
                number = next(wanted, None)
            if number is None:
                return
        fault = PoseError(f"the video ends before frame {number}")
    except PoseError as error:
        fault = error
    while number is not None:
        yield fault
        number = next(wanted, None)
