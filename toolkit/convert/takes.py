"""The motion of each person of a recording, at a constant rate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .recording import ConvertError, RecordedPicture

FASTEST_HZ = 1000.0
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


def read_takes(pictures: Iterable[RecordedPicture], only: int | None = None) -> list[Take]:
    """Return the motion of every person, or of one, by number.

    Raises ConvertError for pictures without numbers, or without the person.
    """
    found: dict[int, list[tuple[float, np.ndarray]]] = {}
    for picture in pictures:
        if picture.numbers is None:
            raise ConvertError("these people have no numbers, so they have no motion; convert them to CSV")
        joints_mm = picture.people.joints_mm + picture.people.roots_mm[:, None]
        for number, joints in zip(picture.numbers, joints_mm, strict=True):
            track = found.setdefault(number, [])
            if only in (None, number) and (not track or picture.seconds > track[-1][0]):
                track.append((picture.seconds, joints.astype(np.float64)))
    if not found:
        raise ConvertError("the recording has no people")
    if only is not None and only not in found:
        numbers = sorted(found)
        listed = ", ".join(map(str, numbers[:20])) + (", …" if len(numbers) > 20 else "")
        raise ConvertError(f"no person {only} in the recording; it has {listed}")
    return [
        Take(number, np.array([seconds for seconds, _ in track]), np.stack([joints for _, joints in track]))
        for number, track in sorted(found.items())
        if track
    ]


def at_constant_rate(take: Take, hz: float | None = None) -> tuple[np.ndarray, float]:
    """Return joints (F, J, 3) in mm at a constant rate, and the rate in Hz.

    Joints between two pictures are interpolated linearly. `hz` None takes the median rate of the pictures.
    """
    steps = np.diff(take.seconds)
    if hz is None:
        hz = float(1 / np.median(steps)) if len(steps) else 30.0
    hz = float(np.clip(hz, 0.1, FASTEST_HZ))
    duration = take.seconds[-1] - take.seconds[0]
    count = round(duration * hz) + 1
    if count > MOST_FRAMES:
        raise ConvertError(f"{count} frames at {hz:g} Hz are more than {MOST_FRAMES}; give a lower --rate")
    times = np.minimum(take.seconds[0] + np.arange(count) / hz, take.seconds[-1])
    flat = take.joints_mm.reshape(len(take.seconds), -1)
    columns = [np.interp(times, take.seconds, column) for column in flat.T]
    return np.stack(columns, axis=1).reshape(count, *take.joints_mm.shape[1:]), hz
