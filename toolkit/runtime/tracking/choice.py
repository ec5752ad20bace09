"""The choice of a filter over time for an estimator: the bundle's temporal stage, one-euro, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..command.arguments import SMOOTHING
from ..errors import PoseError
from ..estimator import PoseEstimator
from ..pose import PoseSpec
from ..temporal.bundled import open_stage
from .people_over_time import PeopleFilter, PeopleOverTime
from .smoothing import OneEuroSettings, Smoother
from .track import Tracker

# Shares of the range of scores above the network's threshold; see `Tracker`.
BIRTH_SHARE, SURE_SHARE = 0.2, 0.45


@dataclass(frozen=True)
class OverTimeSettings:
    """Settings of `people_over_time`.

    Attributes:
        smooth: one of SMOOTHING, in place of the bundle's temporal stage; None prefers the stage.
        temporal: use the bundle's temporal stage if it has one.
        lookahead: pictures that the stage waits for; more give better poses, later.
    """

    smooth: Optional[str] = None
    temporal: bool = True
    lookahead: int = 0

    def __post_init__(self) -> None:
        if self.smooth is not None and self.smooth not in SMOOTHING:
            raise PoseError(f"no smoothing '{self.smooth}'; known: {', '.join(SMOOTHING)}")
        if self.lookahead < 0:
            raise PoseError(f"--lookahead must be a number of pictures from 0, got {self.lookahead}")
        if self.lookahead and (self.smooth is not None or not self.temporal):
            raise PoseError("--lookahead needs the temporal stage; leave out --smooth and --no-temporal")


_DEFAULTS = OverTimeSettings()


def people_over_time(estimator: PoseEstimator, settings: OverTimeSettings = _DEFAULTS) -> PeopleOverTime:
    """Return the stages for the people of one video or camera; use new ones for each.

    For every picture: `over_time.update(people, seconds, evidence)`, with people and evidence of
    `estimator.detect(picture)`.

    Raises PoseError for a lookahead if the bundle has no temporal stage.
    """
    return PeopleOverTime(_filter(estimator, settings), tracker_for(estimator.spec))


def tracker_for(spec: PoseSpec) -> Tracker:
    """Return a tracker of people with scores above the threshold of a network."""
    above = 1 - spec.centre_threshold
    return Tracker(spec.centre_threshold + BIRTH_SHARE * above, spec.centre_threshold + SURE_SHARE * above)


def _filter(estimator: PoseEstimator, settings: OverTimeSettings) -> Optional[PeopleFilter]:
    if settings.smooth is not None:
        return smoother(settings.smooth, estimator.spec)
    if settings.temporal and estimator.bundle is not None:
        stage = open_stage(estimator.bundle, settings.lookahead)
        if stage is not None:
            return stage
    if settings.lookahead:
        raise PoseError("--lookahead needs a bundle with a temporal stage; export it again, or leave it out")
    return None


def smoother(name: str, spec: PoseSpec) -> Optional[PeopleFilter]:
    """Return a new filter by its name of SMOOTHING; None for "none"."""
    if name == "none":
        return None
    return Smoother(spec.skeleton, OneEuroSettings() if name == "one-euro" else None)
