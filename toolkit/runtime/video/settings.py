"""Settings and summary of a run over a source."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Dict, List, Optional

from ..command.amounts import Rotation
from ..command.arguments import RETRY_S
from ..errors import PoseError

_PARTS = 4  # of the disk space of a recording that one file may take


@dataclass(frozen=True)
class StreamSettings:
    """Settings of `stream`.

    Attributes:
        most: largest number of pictures; None for all.
        every: use one of so many pictures.
        overlap: read the next picture and write the last one during inference.
        retry_s: seconds to wait for a camera that stopped sending.
    """

    most: Optional[int] = None
    every: int = 1
    overlap: bool = True
    retry_s: float = RETRY_S

    def __post_init__(self) -> None:
        if self.most is not None and self.most < 1:
            raise PoseError(f"--most must be at least 1 picture, got {self.most}")
        if not 1 <= self.every <= sys.maxsize:
            raise PoseError(f"--every must be 1 to {sys.maxsize}, got {self.every}")
        if not 0 <= self.retry_s < float("inf"):
            raise PoseError(f"--retry must be a number of seconds from 0, got {self.retry_s:g}")


@dataclass(frozen=True)
class RecordingSettings:
    """Settings of a recording.

    Attributes:
        overlay: write pictures with the people drawn in.
        inset: add views from above and from the side.
        beside: draw the people of each picture alone beside the people over time.
        overwrite: replace an existing recording.
        rotation: close files at a size or an age and begin the next; None keeps one file.
        most_bytes: remove the oldest rotated files when all take more; None keeps all.
        fsync: flush every line to the disk.
    """

    overlay: bool = True
    inset: bool = True
    beside: bool = False
    overwrite: bool = False
    rotation: Optional[Rotation] = None
    most_bytes: Optional[int] = None
    fsync: bool = False

    def __post_init__(self) -> None:
        if self.most_bytes is not None and self.rotation is None:
            raise PoseError("--max-disk removes the oldest rotated files; add --rotate, such as --rotate 1h")
        if self.overwrite and self.rotation is not None:
            raise PoseError("--rotate continues the recording in its folder; leave out --overwrite")

    @property
    def rotates(self) -> bool:
        """Whether the recording is rotated."""
        return self.rotation is not None

    @property
    def file_limits(self) -> Rotation:
        """Limits of one file; several files fit into the disk space of the recording."""
        rotation = self.rotation or Rotation()
        if self.most_bytes is None:
            return rotation
        part = self.most_bytes // _PARTS
        return rotation._replace(most_bytes=min(rotation.most_bytes or part, part))


@dataclass
class Summary:
    """Counts and times of a run.

    Attributes:
        source: as given, with its credentials.
        pictures, skipped: numbers of usable and unusable pictures.
        with_people, people: numbers of pictures with people, and of people in all pictures.
        left_out: number of people with non-finite values.
        dropped: number of pictures that a camera sent while earlier ones were processed.
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
    dropped: int = 0
    seconds: float = 0.0
    latency_ms: float = 0.0
    median_ms: Dict[str, float] = field(default_factory=dict)
    interrupted: bool = False
    failed: bool = False
    gone: Optional[str] = None
    written: List[str] = field(default_factory=list)
