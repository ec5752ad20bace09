"""From a source of pictures to people: JSON lines, and the pictures with the people drawn in."""

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
from .sources import CameraGone, Shot, Source, open_source
from .track import Tracker

# A camera may run for months: the median times are of so many of the last pictures.
TIMED = 10_000
# So many pictures in a row that cannot be used are a fault of the network or the camera, and end the run.
MOST_FAILURES = 100
# Of pictures that cannot be used, the first ones are reported one by one, then every hundredth.
REPORTED = 10
Progress = Callable[[int, PoseFrame], None]
_DEFAULTS = StreamSettings()


class _Estimate(NamedTuple):
    """The people of one picture, and when its inference started (time.perf_counter())."""

    shot: Shot
    people: PoseFrame
    stages_ms: Dict[str, float]
    started: float


def watch(
    estimator: PoseEstimator,
    source: str,
    out: Union[str, Path, None] = None,
    lines: Optional[IO[str]] = None,
    *,
    settings: StreamSettings = _DEFAULTS,
    progress: Optional[Progress] = None,
    report: Report = say,
) -> Summary:
    """Find people in every picture of a source, until it ends, the user interrupts, or the reader of the lines has gone.

    Args:
        estimator: of `load`.
        source: see `sources.open_source`.
        out: folder to record in: `people.jsonl`, one line per picture, and with `overlay` the pictures with people drawn in, as
            JPEG for files and as `overlay.mkv` for videos and cameras. See `video.recording.writers.Recording`.
        lines: also write the JSON lines here.
        settings: see StreamSettings.
        progress: called with the number of pictures and the people of the last one.
        report: called with a sentence for each picture that is skipped.

    Raises PoseError where the source cannot be read, the folder cannot be recorded in, or no picture can be used. Everything
    that was recorded until then is kept.
    """
    recording = None
    if out is not None:
        check_apart(source, str(out))
        recording = Recording(str(out), settings.overwrite, report)
    summary, started = Summary(), time.monotonic()
    timed: Deque[Dict[str, float]] = deque(maxlen=TIMED)
    try:
        with closing(open_source(source, report, settings.retry_s)) as shots:
            session = _Session(
                estimator, shots, recording=recording, lines=lines, settings=settings, summary=summary
            )
            try:
                session.run(timed, progress, report)
            finally:
                summary.skipped += shots.skipped
    except KeyboardInterrupt:
        summary.interrupted = True
    except CameraGone as error:
        summary.gone = str(error)
    except BaseException:
        if recording is not None and recording.pictures:
            report(f"the {recording.pictures} pictures until then are kept in '{recording.shown}'")
        raise
    finally:
        summary.seconds = round(time.monotonic() - started, 2)
        _take_medians(summary, timed)
        if recording is not None:
            summary.written = recording.close(_plain(summary, source))
    return summary


class _Session:
    """One run of `watch`: the stages between a source and what is written."""

    def __init__(
        self,
        estimator: PoseEstimator,
        shots: Source,
        *,
        recording: Optional[Recording],
        lines: Optional[IO[str]],
        settings: StreamSettings,
        summary: Summary,
    ) -> None:
        self._estimator, self._shots, self._recording, self._lines = estimator, shots, recording, lines
        self._settings, self._summary = settings, summary
        self._tracker = None if shots.still else Tracker()

    def run(self, timed: Deque[Dict[str, float]], progress: Optional[Progress], report: Report) -> None:
        """Work through the source."""
        overlap, summary = self._settings.overlap, self._summary
        # A camera has a thread of its own already, and a picture that waits for the network would grow old.
        shots = ahead(self._shots) if overlap and not self._shots.live else self._shots
        estimates = self._estimates(shots, report)
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

    def _estimates(self, shots: Iterator[Shot], report: Report) -> Generator[_Estimate, None, None]:
        """Yield the people of each picture; skip, count and report a picture that cannot be used."""
        used, failures, last = 0, 0, None  # type: int, int, Optional[PoseError]
        for shot in shots:
            started = time.perf_counter()
            try:
                people = self._estimator(shot.picture)
            except EngineError:
                raise
            except (PoseError, cv2.error) as error:
                last = (
                    error if isinstance(error, PoseError) else PoseError(f"cv2 cannot use a picture: {error}")
                )
                failures += 1
                self._summary.skipped += 1
                if failures >= MOST_FAILURES and not self._shots.still:
                    raise PoseError(
                        f"{failures} pictures in a row cannot be used; the last: {last}"
                    ) from error
                if self._summary.skipped <= REPORTED or self._summary.skipped % 100 == 0 or self._shots.still:
                    report(f"skipped: '{printable(shot.name, keep='')}': {last}")
                continue
            used, failures = used + 1, 0
            yield _Estimate(shot, people, dict(self._estimator.stages_ms), started)
            if used == self._settings.most:
                break
        if last is not None and not used:
            raise PoseError(f"no picture can be used; the last: {last}") from last

    def _write(self, result: _Estimate) -> None:
        """Record a picture's people, first as a line, so that a reader who then stops the run has what it was shown."""
        shot, people = result.shot, finite_people(result.people)
        numbers = (
            None
            if self._tracker is None
            else [int(number) for number in self._tracker.update(people, shot.seconds)]
        )
        line = json.dumps(_line(shot, people, numbers), allow_nan=False) + "\n"
        summary, recording = self._summary, self._recording
        if recording is not None:
            recording.write_line(line)
            if self._settings.overlay:
                drawn = draw_people(
                    shot.picture,
                    people,
                    self._estimator.spec.skeleton,
                    numbers=numbers,
                    inset=self._settings.inset,
                )
                if self._shots.still:
                    recording.write_still(shot.name, drawn)
                else:
                    recording.write_frame(drawn, shot.seconds, rate=self._shots.rate, live=self._shots.live)
        summary.pictures, summary.people = summary.pictures + 1, summary.people + len(people)
        summary.with_people += len(people) > 0
        summary.left_out += len(result.people) - len(people)
        if self._lines is not None:
            write_out(self._lines, line)


def _line(shot: Shot, people: PoseFrame, numbers: Optional[List[int]]) -> Dict[str, Any]:
    height, width = shot.picture.shape[:2]
    # A lone surrogate, Python's byte of a name that is not UTF-8, is no valid JSON text.
    name = os.fsencode(shot.name).decode("utf-8", "backslashreplace")
    plain: Dict[str, Any] = {
        "picture": name,
        "seconds": round(shot.seconds, 4),
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
    """Return what a recording's manifest states."""
    return {
        "source": redact(os.fsencode(str(source)).decode("utf-8", "backslashreplace")),
        "pictures": summary.pictures,
        "skipped": summary.skipped,
        "people": summary.people,
        "seconds": summary.seconds,
        "interrupted": summary.interrupted,
        "gone": summary.gone,
    }
