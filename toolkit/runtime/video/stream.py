"""Find people in a source of pictures; write JSON lines and overlays."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Callable, Deque, Dict, Generator, Iterator, List, NamedTuple, Optional, Union

import cv2
import numpy as np

from ..console import Report, printable, redact, say, write_out
from ..engines import EngineError
from ..errors import PoseError
from ..estimator import PoseEstimator
from ..pose import PoseFrame
from .draw import draw_people, finite_people
from .overlap import ahead
from .recording.recording_folder import check_apart
from .recording.writers import Recording
from .settings import StreamSettings, Summary
from .sources import CameraGone, CapturedFrame, Source, open_source
from .track import Tracker

# The median times are of the latest pictures, because a camera may run for months.
TIMED = 10_000
# So many unusable pictures in a row end the run: the network or the camera is faulty.
MOST_FAILURES = 100
# The first unusable pictures are reported one by one, later ones every hundredth.
REPORTED = 10
Progress = Callable[[int, PoseFrame], None]
_DEFAULTS = StreamSettings()


class _Estimate(NamedTuple):
    """The people of one picture, and the start of its inference by time.perf_counter()."""

    frame: CapturedFrame
    people: PoseFrame
    stages_ms: Dict[str, float]
    started: float


def stream(
    estimator: PoseEstimator,
    source: str,
    out: Union[str, Path, None] = None,
    *,
    lines: Optional[IO[str]] = None,
    settings: StreamSettings = _DEFAULTS,
    progress: Optional[Progress] = None,
    report: Report = say,
) -> Summary:
    """Find people in every picture of a source.

    Stops at the end of the source, at an interrupt, or when the reader of `lines` closes it.

    Args:
        estimator: from `load`.
        source: see `sources.open_source`.
        out: folder for `people.jsonl`, one line per picture, and for overlays if the settings have them:
            JPEG files for pictures, `overlay.mkv` for videos and cameras. See `recording.writers.Recording`.
        lines: stream that also gets the JSON lines.
        settings: see StreamSettings.
        progress: called with the number of pictures and the people of the last one.
        report: called with a sentence for each skipped picture.

    Raises PoseError if the source cannot be read, the folder cannot be written, or no picture is usable.
    Everything recorded until then is kept.
    """
    recording = None
    if out is not None:
        check_apart(source, str(out))
        recording = Recording(str(out), settings.overwrite, report)
    summary, started = Summary(), time.monotonic()
    timed: Deque[Dict[str, float]] = deque(maxlen=TIMED)
    try:
        with closing(open_source(source, report, settings.retry_s)) as frames:
            session = _Session(
                estimator, frames, recording=recording, lines=lines, settings=settings, summary=summary
            )
            try:
                session.run(timed, progress, report)
            finally:
                summary.skipped += frames.skipped
    except KeyboardInterrupt:
        summary.interrupted = True
    except CameraGone as error:
        summary.gone = str(error)
    except BaseException:
        if recording is not None and recording.pictures:
            report(f"the {recording.pictures} pictures recorded so far are kept in '{recording.shown}'")
        raise
    finally:
        summary.seconds = round(time.monotonic() - started, 2)
        _take_medians(summary, timed)
        if recording is not None:
            summary.written = recording.close(_plain(summary, source))
    return summary


class _Session:
    """One run of `stream`: the stages between a source and its recording."""

    def __init__(
        self,
        estimator: PoseEstimator,
        frames: Source,
        *,
        recording: Optional[Recording],
        lines: Optional[IO[str]],
        settings: StreamSettings,
        summary: Summary,
    ) -> None:
        self._estimator, self._frames, self._recording, self._lines = estimator, frames, recording, lines
        self._settings, self._summary = settings, summary
        self._tracker = None if frames.still else Tracker()

    def run(self, timed: Deque[Dict[str, float]], progress: Optional[Progress], report: Report) -> None:
        """Process the source."""
        overlap, summary = self._settings.overlap, self._summary
        # A camera already has a thread of its own, and a queued picture would be out of date.
        frames = ahead(self._frames) if overlap and not self._frames.live else self._frames
        estimates = self._estimates(frames, report)
        with closing(ahead(estimates) if overlap else estimates) as results:
            for result in results:
                try:
                    self._write(result)
                except BrokenPipeError:
                    summary.interrupted = True
                    return
                timed.append({**result.stages_ms, "latency": 1000 * (time.perf_counter() - result.started)})
                if progress is not None:
                    progress(summary.pictures, result.people)

    def _estimates(self, frames: Iterator[CapturedFrame], report: Report) -> Generator[_Estimate, None, None]:
        """Yield the people of each picture; skip, count and report unusable pictures."""
        used, failures, last = 0, 0, None  # type: int, int, Optional[PoseError]
        for frame in frames:
            started = time.perf_counter()
            try:
                people = self._estimator(frame.picture)
            except EngineError:
                raise
            except (PoseError, cv2.error) as error:
                last = (
                    error if isinstance(error, PoseError) else PoseError(f"cv2 cannot use a picture: {error}")
                )
                failures += 1
                self._summary.skipped += 1
                if failures >= MOST_FAILURES and not self._frames.still:
                    raise PoseError(
                        f"{failures} pictures in a row cannot be used; the last: {last}"
                    ) from error
                if (
                    self._summary.skipped <= REPORTED
                    or self._summary.skipped % 100 == 0
                    or self._frames.still
                ):
                    report(f"skipped: '{printable(frame.name, keep='')}': {last}")
                continue
            used, failures = used + 1, 0
            yield _Estimate(frame, people, dict(self._estimator.stages_ms), started)
            if used == self._settings.most:
                break
        if last is not None and not used:
            raise PoseError(f"no picture can be used; the last: {last}") from last

    def _write(self, result: _Estimate) -> None:
        """Record a picture's people; a reader of `lines` that stops the run finds its last line recorded."""
        frame, people = result.frame, finite_people(result.people)
        numbers = (
            None
            if self._tracker is None
            else [int(number) for number in self._tracker.update(people, frame.seconds)]
        )
        line = json.dumps(_line(frame, people, numbers), allow_nan=False) + "\n"
        summary, recording = self._summary, self._recording
        if recording is not None:
            recording.write_line(line)
            if self._settings.overlay:
                drawn = draw_people(
                    frame.picture,
                    people,
                    self._estimator.spec.skeleton,
                    numbers=numbers,
                    inset=self._settings.inset,
                )
                if self._frames.still:
                    recording.write_still(frame.name, drawn)
                else:
                    recording.write_frame(
                        drawn, frame.seconds, rate=self._frames.rate, live=self._frames.live
                    )
        summary.pictures, summary.people = summary.pictures + 1, summary.people + len(people)
        summary.with_people += len(people) > 0
        summary.left_out += len(result.people) - len(people)
        if self._lines is not None:
            write_out(self._lines, line)


def _line(frame: CapturedFrame, people: PoseFrame, numbers: Optional[List[int]]) -> Dict[str, Any]:
    height, width = frame.picture.shape[:2]
    # JSON text cannot hold lone surrogates, which Python uses for file names that are not UTF-8.
    name = os.fsencode(frame.name).decode("utf-8", "backslashreplace")
    plain: Dict[str, Any] = {
        "picture": name,
        "seconds": round(frame.seconds, 4),
        "size": [height, width],
        **people.to_dict(),
    }
    return plain if numbers is None else {**plain, "numbers": numbers}


def _take_medians(summary: Summary, timed: Deque[Dict[str, float]]) -> None:
    if timed:
        medians = {name: round(float(np.median([row[name] for row in timed])), 3) for name in timed[0]}
        summary.latency_ms = medians.pop("latency")
        summary.median_ms = medians


def _plain(summary: Summary, source: str) -> Dict[str, Any]:
    """Return the content of a recording's manifest."""
    return {
        "source": redact(os.fsencode(str(source)).decode("utf-8", "backslashreplace")),
        "pictures": summary.pictures,
        "skipped": summary.skipped,
        "people": summary.people,
        "seconds": summary.seconds,
        "interrupted": summary.interrupted,
        "gone": summary.gone,
    }
