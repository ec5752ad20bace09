"""The people that each of several cameras sees over time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..errors import PosecError
from ..runtime.decoding.intrinsics import Intrinsics, pinhole
from ..runtime.pose import PoseFrame, PoseSpec
from ..runtime.video.sources import open_source

if TYPE_CHECKING:
    Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Sightings:
    """The people of one camera's video, T frames.

    Attributes:
        name: of the video.
        people: of each frame.
        seconds: (T,) times, ascending.
        size: (height, width) of the pictures.
        camera: intrinsics of the pictures.
    """

    name: str
    people: tuple[PoseFrame, ...]
    seconds: np.ndarray
    size: tuple[int, int]
    camera: Intrinsics

    @property
    def step_s(self) -> float:
        """Median time between frames."""
        return float(np.median(np.diff(self.seconds)))


class Estimate(Protocol):
    """A function that finds people, and the specification of its network."""

    spec: PoseSpec

    def __call__(self, picture_bgr: np.ndarray, focal_px: float | None = None) -> PoseFrame:
        """Return the people of a picture (H, W, 3) uint8 BGR."""


def sight(
    estimator: Estimate,
    source: str,
    focal_px: float | None = None,
    progress: Progress | None = None,
    *,
    since_s: float = 0.0,
) -> Sightings:
    """Return the people that a network finds in a video from a time on.

    `focal_px` is in pixels of its pictures; None takes the specification's. Raises PosecError for pictures
    without times, and for fewer than three.
    """
    people, seconds, size = [], [], (0, 0)
    with closing(open_source(source)) as frames:
        if frames.still or frames.live:
            raise PosecError(f"'{source}' is no video; record each camera to a file first")
        for frame in frames:
            if frame.seconds < since_s:
                continue
            size = (frame.picture.shape[0], frame.picture.shape[1])
            people.append(estimator(frame.picture, focal_px))
            seconds.append(frame.seconds)
            if progress:
                progress(len(people), 0)
    if len(people) < 3:
        raise PosecError(f"'{source}' has {len(people)} pictures; a recording of a minute is needed")
    camera = pinhole(focal_px or estimator.spec.focal_default * max(size), size)
    return Sightings(source, tuple(people), np.array(seconds), size, camera)
