"""The motion of each person of a recording, at the same times for all people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .recording import ConvertError, RecordedPicture

SLOWEST_HZ, FASTEST_HZ = 0.1, 1000.0
MOST_FRAMES = 10**6


@dataclass(frozen=True)
class Take:
    """One person's motion.

    Attributes:
        number: of the person in the recording.
        seconds: (T,) float64, increasing.
        joints_mm: (T, J, 3) float64 in the camera frame.
    """

    number: int
    seconds: np.ndarray
    joints_mm: np.ndarray


class Takes(NamedTuple):
    """The motion of the people of a recording.

    Attributes:
        seconds: (T,) float64 of all pictures, increasing.
        people: their motions, by number.
    """

    seconds: np.ndarray
    people: list[Take]


def read_takes(pictures: Iterable[RecordedPicture], only: int | None = None) -> Takes:
    """Return the motion of every person, or of one, by number.

    Raises ConvertError for pictures without numbers, or without the person.
    """
    found: dict[int, list[tuple[float, np.ndarray]]] = {}
    times: list[float] = []
    for picture in pictures:
        if picture.numbers is None:
            raise ConvertError("these people have no numbers, so they have no motion; convert them to CSV")
        if times and picture.seconds == times[-1]:
            continue
        times.append(picture.seconds)
        joints_mm = picture.people.joints_mm + picture.people.roots_mm[:, None]
        for number, joints in zip(picture.numbers, joints_mm, strict=True):
            track = found.setdefault(number, [])
            if only in (None, number):
                track.append((picture.seconds, joints.astype(np.float64)))
    if not found:
        raise ConvertError("the recording has no people")
    if only is not None and only not in found:
        raise no_person(only, found)
    takes = [
        Take(number, np.array([seconds for seconds, _ in track]), np.stack([joints for _, joints in track]))
        for number, track in sorted(found.items())
        if track
    ]
    return Takes(np.array(times), takes)


def no_person(number: int, found: Iterable[int]) -> ConvertError:
    """Return the error of a person who is not among those found."""
    numbers = sorted(found)
    listed = ", ".join(map(str, numbers[:20])) + (", …" if len(numbers) > 20 else "")
    return ConvertError(f"no person {number} in the recording; it has {listed or 'none'}")


class Grid(NamedTuple):
    """Times (F,) in s at a constant rate in Hz."""

    seconds: np.ndarray
    hz: float


def constant_rate(seconds: np.ndarray, hz: float | None = None) -> Grid:
    """Return the times of a recording at a constant rate, from its first picture to its last.

    `hz` None takes the median rate of the pictures (T,). Raises ConvertError for too many frames.
    """
    steps = np.diff(seconds)
    if hz is None:
        hz = float(1 / np.median(steps)) if len(steps) else 30.0
    hz = float(np.clip(hz, SLOWEST_HZ, FASTEST_HZ))
    count = round((seconds[-1] - seconds[0]) * hz) + 1
    if count > MOST_FRAMES:
        raise ConvertError(
            f"{count:.3g} frames at {hz:g} Hz are more than {MOST_FRAMES}; give a lower --rate, or split the "
            "recording"
        )
    return Grid(np.minimum(seconds[0] + np.arange(count) / hz, seconds[-1]), hz)


def at_times(take: Take, seconds: np.ndarray) -> np.ndarray:
    """Return a person's joints (F, J, 3) in mm at times (F,).

    Joints between two pictures are interpolated linearly; before the first and after the last they stay.
    """
    flat = take.joints_mm.reshape(len(take.seconds), -1)
    columns = [np.interp(seconds, take.seconds, column) for column in flat.T]
    return np.stack(columns, axis=1).reshape(len(seconds), *take.joints_mm.shape[1:])
