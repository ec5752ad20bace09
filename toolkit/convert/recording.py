"""Read people.jsonl, line by line, within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import PosecError
from ..runtime.bundle import read_bundle
from ..runtime.console import printable
from ..runtime.files.plain_files import open_plain
from ..runtime.files.plain_json import parse_json
from ..runtime.pose import MUPOTS17, PoseFrame, Skeleton
from ..runtime.video.result import SCHEMA

LARGEST_LINE = 16 * 2**20
LARGEST_RECORDING = 64 * 2**30
_LARGEST_NUMBER = 2**53
_LARGEST_SECONDS = 10**10


class ConvertError(PosecError):
    """A recording that cannot be read or converted."""


class RecordedPicture(NamedTuple):
    """One line of a recording.

    Attributes:
        picture: name of the file, or number of the frame; printable.
        seconds: since the first picture.
        people: of the picture.
        numbers: of the people over time; None for unrelated pictures.
    """

    picture: str
    seconds: float
    people: PoseFrame
    numbers: list[int] | None


def choose_skeleton(bundle: str | None) -> Skeleton:
    """Return the skeleton of a bundle, or that of the reference network."""
    return MUPOTS17 if bundle is None else read_bundle(bundle).spec.skeleton


def read_recording(path: str | Path, skeleton: Skeleton) -> Iterator[RecordedPicture]:
    """Yield the lines of a people.jsonl, in order.

    A last line without an end, as of a run that still writes, is left out.
    Raises ConvertError naming a line that is not of the schema or goes back in time, and if there is none.
    """
    number, latest = 0, 0.0
    with open_plain(path, most_bytes=LARGEST_RECORDING, error=ConvertError) as file:
        while True:
            content = file.readline(LARGEST_LINE + 1)
            if not content.endswith(b"\n"):
                if len(content) > LARGEST_LINE:
                    raise ConvertError(f"'{path}', line {number + 1} has more than {LARGEST_LINE} bytes")
                break
            number += 1
            try:
                picture = _parse(content, skeleton)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ConvertError(
                    f"'{path}', line {number} is no line of people.jsonl: {_reason(error)}; `posec schema` "
                    "prints their form, and --bundle names another skeleton"
                ) from error
            if picture.seconds < latest:
                raise ConvertError(
                    f"'{path}', line {number} is of {picture.seconds:g} s, the one before of {latest:g} s; "
                    "convert one recording at a time, with its lines in order"
                )
            latest = picture.seconds
            yield picture
    if not number:
        raise ConvertError(f"'{path}' has no lines; give a people.jsonl of `posec run`")


def _reason(error: Exception) -> str:
    return f"no field {error}" if isinstance(error, KeyError) else str(error)[:200]


def _parse(content: bytes, skeleton: Skeleton) -> RecordedPicture:
    plain = parse_json(content)
    if not isinstance(plain, dict):
        raise ValueError(f"an object is needed, got {type(plain).__name__}")
    if plain.get("schema", SCHEMA) != SCHEMA or isinstance(plain.get("schema"), bool):
        raise ValueError(f"schema {plain['schema']!r:.40}; this version reads {SCHEMA}")
    people = PoseFrame.from_dict(plain, len(skeleton.names))
    picture, seconds, numbers = plain["picture"], plain["seconds"], plain.get("numbers")
    if not isinstance(picture, str):
        raise ValueError(f"picture must be text, got {picture!r:.40}")
    if type(seconds) not in (int, float) or not 0 <= seconds < _LARGEST_SECONDS:
        raise ValueError(f"seconds must be a number from 0, got {seconds!r:.40}")
    if numbers is not None:
        if len(numbers) != len(people) or not all(
            type(each) is int and 0 < each < _LARGEST_NUMBER for each in numbers
        ):
            raise ValueError(f"numbers must be {len(people)} whole numbers above 0, got {numbers!r:.80}")
        if len(set(numbers)) < len(numbers):
            raise ValueError(f"a person's number occurs twice: {numbers!r:.80}")
    return RecordedPicture(printable(picture, keep=""), float(seconds), people, numbers)
