"""Run an estimator over a protocol's pictures and measure its accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..runtime.pose import PoseFrame, Skeleton
from ..runtime.preprocess import PictureError
from .datasets.labelled import DataSet
from .datasets.protocols import judge_data_set
from .intervals import Bootstrap, Subset, rows_of
from .joints import CENTRE_JOINTS
from .photos import BODY_NAMES, Photos, judge_photos
from .scenes import Scenes, judge_scenes

if TYPE_CHECKING:
    Progress = Callable[[int, int], None]
    LabelledPictures = Photos | Scenes | DataSet

DEFAULT_BOOTSTRAP = Bootstrap()


class Estimate(Protocol):
    """A function that finds people: a loaded bundle, or `float_estimator` of a graph."""

    def __call__(self, picture_bgr: np.ndarray, focal_px: float | None = None) -> PoseFrame:
        """Return the people of a picture (H, W, 3) uint8 BGR."""


def find_people(
    estimate: Estimate, pictures: LabelledPictures, progress: Progress | None = None
) -> dict[str, PoseFrame]:
    """Return file name → people of every picture; calls `progress` with (pictures done, pictures in all)."""
    people = {}
    for name, picture, focal_px in pictures:
        try:
            people[name] = estimate(picture, focal_px=focal_px)
        except PictureError as error:
            raise PictureError(
                f"labelled picture '{name}': {error}, or leave it out of the labels"
            ) from error
        if progress:
            progress(len(people), len(pictures))
    return people


def evaluate(
    estimate: Estimate,
    pictures: LabelledPictures,
    skeleton: Skeleton,
    *,
    progress: Progress | None = None,
    centre_joints: Sequence[str] = CENTRE_JOINTS,
    bootstrap: Bootstrap | None = DEFAULT_BOOTSTRAP,
) -> list[dict[str, Any]]:
    """Return the rows of the protocol that `pictures` belong to, with 95 % intervals; see `rows_of`.

    `skeleton` and `centre_joints` are those of the estimator's network.
    """
    judged = judge(estimate, pictures, skeleton, progress=progress, centre_joints=centre_joints)
    return rows_of(judged, bootstrap)


def judge(
    estimate: Estimate,
    pictures: LabelledPictures,
    skeleton: Skeleton,
    *,
    progress: Progress | None = None,
    centre_joints: Sequence[str] = CENTRE_JOINTS,
) -> list[Subset]:
    """Return what `evaluate` makes rows of, to compare two networks; see `intervals.compare`."""
    people = find_people(estimate, pictures, progress)
    if isinstance(pictures, DataSet):
        return judge_data_set(people, pictures, skeleton)
    if isinstance(pictures, Photos):
        return judge_photos(people, pictures, skeleton, centre_joints=centre_joints)
    return judge_scenes(people, pictures, skeleton, centre_joints=centre_joints)


def unpaired_joints(pictures: LabelledPictures, skeleton: Skeleton) -> tuple[str, ...]:
    """Return the joints that a protocol scores and a network's skeleton lacks."""
    asked = BODY_NAMES if isinstance(pictures, Photos) else pictures.skeleton.names
    return tuple(name for name in asked if name not in skeleton.names)


def unlabelled_joints(pictures: LabelledPictures, skeleton: Skeleton) -> tuple[str, ...]:
    """Return the joints of a network's skeleton that the labels of a data set lack."""
    labelled = pictures.skeleton.names if isinstance(pictures, DataSet) else skeleton.names
    return tuple(name for name in skeleton.names if name not in labelled)
