"""Settings and summary of a run over a source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional

from ..command.arguments import RETRY_S
from ..errors import PoseError


@dataclass(frozen=True)
class StreamSettings:
    """How `watch` works through a source.

    Attributes:
        most: stop after so many pictures; None for all.
        overlay: draw the people into the pictures.
        inset: show the people from above and from the side, too.
        overwrite: replace a recording that is there.
        overlap: read the next picture, and draw the last one, while the network runs.
        retry_s: give up so many seconds after a camera went away.
    """

    most: Optional[int] = None
    overlay: bool = True
    inset: bool = True
    overwrite: bool = False
    overlap: bool = True
    retry_s: float = RETRY_S

    def __post_init__(self) -> None:
        if self.most is not None and self.most < 1:
            raise PoseError(f"--most must be at least 1 picture, got {self.most}")
        if not 0 <= self.retry_s < float("inf"):
            raise PoseError(f"--retry must be a number of seconds from 0, got {self.retry_s:g}")


@dataclass
class Summary:
    """What `watch` did.

    Attributes:
        pictures, skipped: that were used, and that could not be.
        with_people, people: pictures with people, and people over all pictures.
        left_out: people with numbers that are not finite.
        seconds: of the whole run.
        latency_ms: median time from a picture at the network's entrance to its line.
        median_ms: per stage of the estimator. Both are of the last 10,000 pictures.
        interrupted: the user stopped it, or the reader of the lines has gone.
        gone: why a camera gave no more pictures, or None.
        written: paths.
    """

    pictures: int = 0
    skipped: int = 0
    with_people: int = 0
    people: int = 0
    left_out: int = 0
    seconds: float = 0.0
    latency_ms: float = 0.0
    median_ms: Dict[str, float] = field(default_factory=dict)
    interrupted: bool = False
    gone: Optional[str] = None
    written: List[str] = field(default_factory=list)
