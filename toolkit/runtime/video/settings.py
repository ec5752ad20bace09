"""Settings and summary of a run over a source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, List, Optional

from ..command.arguments import RETRY_S
from ..errors import PoseError


@dataclass(frozen=True)
class StreamSettings:
    """Settings of `stream`.

    Attributes:
        most: largest number of pictures; None for all.
        overlap: read the next picture and write the last one during inference.
        retry_s: seconds to wait for a camera that stopped sending.
    """

    most: Optional[int] = None
    overlap: bool = True
    retry_s: float = RETRY_S

    def __post_init__(self) -> None:
        if self.most is not None and self.most < 1:
            raise PoseError(f"--most must be at least 1 picture, got {self.most}")
        if not 0 <= self.retry_s < float("inf"):
            raise PoseError(f"--retry must be a number of seconds from 0, got {self.retry_s:g}")


@dataclass(frozen=True)
class RecordingSettings:
    """Settings of a recording.

    Attributes:
        overlay: write pictures with the people drawn in.
        inset: add views from above and from the side.
        overwrite: replace an existing recording.
    """

    overlay: bool = True
    inset: bool = True
    overwrite: bool = False


@dataclass
class Summary:
    """Counts and times of a run.

    Attributes:
        source: as given, with its credentials.
        pictures, skipped: numbers of usable and unusable pictures.
        with_people, people: numbers of pictures with people, and of people in all pictures.
        left_out: number of people with non-finite values.
        seconds: duration of the run.
        latency_ms: median time from the start of inference to the end of the sinks.
        median_ms: median time per stage. Both medians are of the last 10,000 pictures.
        interrupted: True if the user or the reader of a sink stopped the run.
        failed: True if the run ends with an error.
        gone: reason why a camera stopped sending, or None.
        written: paths of the files.
    """

    source: str = ""
    pictures: int = 0
    skipped: int = 0
    with_people: int = 0
    people: int = 0
    left_out: int = 0
    seconds: float = 0.0
    latency_ms: float = 0.0
    median_ms: Dict[str, float] = field(default_factory=dict)
    interrupted: bool = False
    failed: bool = False
    gone: Optional[str] = None
    written: List[str] = field(default_factory=list)
