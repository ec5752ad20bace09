"""The data of a run, from stage to stage: estimate, tracked people, result; its sinks, and its end."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from contextlib import contextmanager
from typing import Any, Deque, Dict, Iterator, List, Mapping, NamedTuple, Optional, Protocol, Sequence

import numpy as np

from ..pose import PoseFrame
from ..temporal.evidence import Evidence
from .cameras import CameraGone
from .frames import CapturedFrame
from .settings import Summary
from .sources import Source

# Version of a line; `posec schema` prints its JSON Schema. New fields keep it, other changes raise it.
SCHEMA = 1
# The median times are of the latest pictures, because a camera may run for months.
TIMED = 10_000
StageTimes = Deque[Dict[str, float]]


class Estimate(NamedTuple):
    """The people of one picture.

    Attributes:
        frame: the picture, its name and its time.
        people: all of them have finite values.
        evidence: of the same people.
        stages_ms: duration of each stage.
        started: time.perf_counter() at the start of preprocessing.
        left_out: number of people with non-finite values.
    """

    frame: CapturedFrame
    people: PoseFrame
    evidence: Evidence
    stages_ms: Dict[str, float]
    started: float
    left_out: int


class Tracked(NamedTuple):
    """The people of one picture, with their identities over time.

    Attributes:
        people: detected people, and those that a stage over time adds.
        numbers: the number of each person; None for still pictures.
        fields: more fields of the JSON line, one entry per person each.
    """

    people: PoseFrame
    numbers: Optional[List[int]] = None
    fields: Mapping[str, List[Any]] = {}


class Followed(NamedTuple):
    """A picture and its final people."""

    estimate: Estimate
    tracked: Tracked


class OverTime(Protocol):
    """The stage between the estimates of one source and the sinks."""

    def update(self, estimate: Estimate) -> List[Followed]:
        """Take the next picture; return the pictures that are final now, in order."""

    def flush(self) -> List[Followed]:
        """Return the pictures that still waited, at the end of the source."""


class Result:
    """One picture with its people, as the sinks get it.

    Attributes:
        frame: the picture, its name and its time.
        detected: people as the network finds them in this picture alone.
        people: see `Tracked`.
        numbers: see `Tracked`.
        fields: see `Tracked`.
        stages_ms: duration of each stage until the sinks.
        source: the source; `still`, `rate` and `live` describe it.
    """

    def __init__(self, estimate: Estimate, tracked: Tracked, source: Source) -> None:
        self.frame, self.stages_ms, self.source = estimate.frame, estimate.stages_ms, source
        self.detected = estimate.people
        self.people, self.numbers, self.fields = tracked
        self._line: Optional[str] = None

    @property
    def line(self) -> str:
        """The result as one line of JSON, with a newline; made once."""
        if self._line is None:
            self._line = json.dumps(self._plain(), allow_nan=False) + "\n"
        return self._line

    def _plain(self) -> Dict[str, Any]:
        height, width = self.frame.picture.shape[:2]
        # JSON text cannot hold lone surrogates, which Python uses for file names that are not UTF-8.
        name = os.fsencode(self.frame.name).decode("utf-8", "backslashreplace")
        numbers = {} if self.numbers is None else {"numbers": self.numbers}
        clock = {} if self.frame.unix_s is None else {"unix_s": self.frame.unix_s}
        return {
            "schema": SCHEMA,
            "picture": name,
            "seconds": round(self.frame.seconds, 4),
            **clock,
            "size": [height, width],
            **self.people.to_dict(),
            **numbers,
            **self.fields,
        }


class Sink(Protocol):
    """A place that gets each result of a run: a recording, a stream of lines, a socket, a viewer.

    A run writes to its sinks in turn, in one thread, and closes all of them at its end.
    """

    def write(self, result: Result) -> None:
        """Take a result. Must not wait for a reader.

        Raises BrokenPipeError to end the run because its reader has gone, PoseError if it cannot go on.
        """

    def close(self, summary: Summary) -> None:
        """Finish; called once, also after an error (`summary.failed`). Add paths to `summary.written`."""


@contextmanager
def summarized(summary: Summary, sinks: Sequence[Sink]) -> Iterator[StageTimes]:
    """Yield a queue for the durations of each picture, and complete the summary when the run ends.

    An interrupt, a reader of a sink that has gone, and a camera that has gone end the run without an error.
    Every sink is closed; its first error is raised, unless an error ends the run already.
    """
    started = time.monotonic()
    timed: StageTimes = deque(maxlen=TIMED)
    try:
        yield timed
    except (KeyboardInterrupt, BrokenPipeError):
        summary.interrupted = True
    except CameraGone as error:
        summary.gone = str(error)
    except BaseException:
        summary.failed = True
        raise
    finally:
        summary.seconds = round(time.monotonic() - started, 2)
        _take_medians(summary, timed)
        _close(sinks, summary)


def _close(sinks: Sequence[Sink], summary: Summary) -> None:
    """Close every sink; raise the first error afterwards, unless an error ends the run already."""
    first: Optional[Exception] = None
    for sink in sinks:
        try:
            sink.close(summary)
        except Exception as error:
            first = first or error
    if first is not None and not summary.failed:
        raise first


def _take_medians(summary: Summary, timed: StageTimes) -> None:
    """Write the medians of stages and latency, in ms, into a summary."""
    if timed:
        medians = {name: round(float(np.median([row[name] for row in timed])), 3) for name in timed[0]}
        summary.latency_ms = medians.pop("latency")
        summary.median_ms = medians
