"""Run an estimator over a protocol's pictures and say how good the people are. Valid Python 3.8: a board runs this."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..runtime.pose import PoseFrame, Skeleton
from .photos import Photos, evaluate_photos
from .scenes import Scenes, evaluate_scenes

if TYPE_CHECKING:
    Progress = Callable[[int, int], None]


class Estimate(Protocol):
    """Anything that finds people: a loaded bundle, or a float graph (`toolkit.verification.float_estimator.FloatEstimator`)."""

    def __call__(self, picture_bgr: np.ndarray, focal_px: float | None = None) -> PoseFrame:
        """Return the people of a picture (H, W, 3) uint8 BGR."""


def find_everybody(
    estimate: Estimate, pictures: Photos | Scenes, progress: Progress | None = None
) -> dict[str, PoseFrame]:
    """Return the people of every picture by file name; `progress` is told (pictures done, pictures in all)."""
    people = {}
    for name, picture, focal_px in pictures:
        people[name] = estimate(picture, focal_px=focal_px)
        if progress:
            progress(len(people), len(pictures))
    return people


def evaluate(
    estimate: Estimate, pictures: Photos | Scenes, skeleton: Skeleton, progress: Progress | None = None
) -> list[dict[str, Any]]:
    """Return the rows of the protocol that `pictures` belong to: see `evaluate_photos` and `evaluate_scenes`."""
    people = find_everybody(estimate, pictures, progress)
    return (
        evaluate_photos(people, pictures, skeleton)
        if isinstance(pictures, Photos)
        else evaluate_scenes(people, pictures, skeleton)
    )
