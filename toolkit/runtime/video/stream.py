"""Find people in a source of pictures and give them to sinks."""

from __future__ import annotations

import os
import time
from contextlib import closing
from itertools import islice
from typing import Callable, Dict, Generator, Iterator, NamedTuple, Optional, Sequence, Union

import cv2
import numpy as np

from ..console import Report, printable, say
from ..engines import EngineError
from ..errors import PoseError
from ..estimator import Inference, PoseEstimator
from ..pose import PoseFrame
from ..tracking.choice import people_over_time
from .draw import is_finite
from .over_time import Following, Unrelated
from .overlap import ahead
from .pauses import Pauses
from .result import Estimate, Followed, OverTime, Result, Sink, StageTimes, summarized
from .settings import StreamSettings, Summary
from .sources import CapturedFrame, Source, open_source

# So many unusable pictures in a row end the run: the network or the camera is faulty.
MOST_FAILURES = 100
# The first unusable pictures are reported one by one, later ones every hundredth.
REPORTED = 10
Progress = Callable[[int, PoseFrame], None]
_DEFAULTS = StreamSettings()


def stream(
    estimator: PoseEstimator,
    source: str,
    sinks: Sequence[Sink] = (),
    *,
    settings: StreamSettings = _DEFAULTS,
    over_time: Optional[OverTime] = None,
    progress: Optional[Progress] = None,
    report: Report = say,
) -> Summary:
    """Find people in every picture of a source, and give each result to all sinks, in order.

    Stops at the end of the source, at an interrupt, or when the reader of a sink has gone.

    Args:
        estimator: from `load`.
        source: see `sources.open_source`.
        sinks: see `result.Sink`; all are closed at the end.
        settings: see StreamSettings.
        over_time: stage between estimates and sinks for videos and cameras; None takes the bundle's.
        progress: called with the number of pictures and the people of the last one.
        report: called with a sentence for each skipped picture.

    Raises PoseError if the source cannot be read, a sink cannot be written, or no picture is usable.
    """
    summary = Summary(source=os.fspath(source))
    with summarized(summary, sinks) as timed:
        with closing(open_source(source, report, settings.retry_s)) as frames:
            run = _Run(estimator, frames, settings=settings, summary=summary, report=report)
            try:
                stage = Unrelated() if frames.still else over_time or Following(people_over_time(estimator))
                run.into(sinks, stage, timed, progress)
            finally:
                summary.skipped += frames.skipped
    return summary


class _Inferred(NamedTuple):
    """A picture, its heads or the error in their place, durations, and the start of preprocessing."""

    frame: CapturedFrame
    inference: Union[Inference, Exception]
    stages_ms: Dict[str, float]
    started: float


class _Run:
    """One run over an open source."""

    def __init__(
        self,
        estimator: PoseEstimator,
        frames: Source,
        *,
        settings: StreamSettings,
        summary: Summary,
        report: Report,
    ) -> None:
        self._estimator, self._frames = estimator, frames
        self._settings, self._summary, self._report = settings, summary, report

    def into(
        self,
        sinks: Sequence[Sink],
        over_time: OverTime,
        timed: StageTimes,
        progress: Optional[Progress],
    ) -> None:
        """Process the source in three threads: reading; preprocessing and inference; decoding and sinks."""
        overlap, summary = self._settings.overlap, self._summary
        # A camera already has a thread of its own, and a queued picture would be out of date.
        chosen = islice(self._frames, 0, None, self._settings.every)
        frames = ahead(chosen) if overlap and not self._frames.live else chosen
        inferences = self._inferences(frames)
        with closing(ahead(inferences) if overlap else inferences) as inferred:
            for estimate, tracked in _followed(self._estimates(inferred), over_time):
                result = Result(estimate, tracked, self._frames)
                try:
                    for sink in sinks:
                        sink.write(result)
                except BrokenPipeError:
                    summary.interrupted = True
                _count(summary, result, estimate.left_out)
                if summary.interrupted:
                    return
                latency_ms = 1000 * (time.perf_counter() - estimate.started)
                timed.append({**estimate.stages_ms, "latency": latency_ms})
                if progress is not None:
                    progress(summary.pictures, result.people)

    def _inferences(self, frames: Iterator[CapturedFrame]) -> Generator[_Inferred, None, None]:
        """Yield the heads of each picture; after an engine's error on a camera's picture, pause and go on."""
        pauses, ran = Pauses(), False
        for frame in frames:
            started = time.perf_counter()
            try:
                heads, letterbox = self._estimator.infer(frame.picture)
            except EngineError as error:
                if not ran or not self._frames.live or not pauses.wait(str(error), self._report):
                    raise
                continue
            except (PoseError, cv2.error) as error:
                yield _Inferred(frame, error, {}, started)
                continue
            ran = True
            pauses.reset()
            if self._settings.overlap:  # the next picture overwrites the heads while these are decoded
                heads = {name: np.array(values) for name, values in heads.items()}
            yield _Inferred(frame, Inference(heads, letterbox), dict(self._estimator.stages_ms), started)

    def _estimates(self, inferences: Iterator[_Inferred]) -> Generator[Estimate, None, None]:
        """Yield the people of each picture; skip, count and report unusable pictures."""
        used, failures, last = 0, 0, None  # type: int, int, Optional[PoseError]
        for frame, inferred, stages_ms, started in inferences:
            decoding = time.perf_counter()
            try:
                if isinstance(inferred, Exception):
                    raise inferred
                people, evidence = self._estimator.decode_inference(inferred)
            except (PoseError, cv2.error) as error:
                last = (
                    error if isinstance(error, PoseError) else PoseError(f"cv2 cannot use a picture: {error}")
                )
                failures += 1
                self._skip(frame, last, failures)
                continue
            used, failures, kept = used + 1, 0, is_finite(people)
            stages_ms = {**stages_ms, "decode": 1000 * (time.perf_counter() - decoding)}
            left_out = int((~kept).sum())
            if left_out:
                people, evidence = people[kept], evidence.take(kept)
            yield Estimate(frame, people, evidence, stages_ms, started, left_out)
            if used == self._settings.most:
                break
        if last is not None and not used:
            raise PoseError(f"no picture can be used; the last: {last}") from last

    def _skip(self, frame: CapturedFrame, error: PoseError, failures: int) -> None:
        """Count and report an unusable picture. Raises PoseError after too many in a row."""
        still, summary = self._frames.still, self._summary
        summary.skipped += 1
        if failures >= MOST_FAILURES and not still:
            raise PoseError(f"{failures} pictures in a row cannot be used; the last: {error}") from error
        if summary.skipped <= REPORTED or summary.skipped % 100 == 0 or still:
            self._report(f"skipped: '{printable(frame.name, keep='')}': {error}")


def _followed(estimates: Iterator[Estimate], over_time: OverTime) -> Iterator[Followed]:
    """Yield the pictures as they become final."""
    for estimate in estimates:
        yield from over_time.update(estimate)
    yield from over_time.flush()


def _count(summary: Summary, result: Result, left_out: int) -> None:
    summary.pictures, summary.people = summary.pictures + 1, summary.people + len(result.people)
    summary.with_people += len(result.people) > 0
    summary.left_out += left_out
    summary.dropped += result.frame.dropped
