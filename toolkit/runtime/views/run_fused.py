"""Find people in several sources at once, and merge them: `posec run --source 0 1 --fuse poses.json`."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from itertools import islice
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from ..console import Report, printable, say
from ..errors import PoseError
from ..estimator import PoseEstimator
from ..video.draw import is_finite
from ..video.result import Estimate, Followed, OverTime, Result, Sink, Tracked, summarized
from ..video.settings import StreamSettings, Summary
from ..video.sources import CapturedFrame, Source, open_source
from ..video.stream import MOST_FAILURES
from .camera_poses import CameraPose
from .fuse import fuse

MakeOverTime = Callable[[], OverTime]
Progress = Callable[[int, Any], None]
TOLERANCE_S = 0.1  # between pictures of one instant


class FusedNumbers:
    """Numbers of fused people: a person keeps its number while one camera follows it."""

    def __init__(self) -> None:
        self._number_of: Dict[Tuple[int, int], int] = {}
        self._last = 0

    def update(self, members: Sequence[Dict[int, int]]) -> List[int]:
        """Return the number of each person, from 1.

        `members` has camera → number of the person in that camera. Of several earlier numbers, the lowest
        that no other person of this instant has is kept.
        """
        taken: List[int] = []
        for group in members:
            known = {self._number_of[member] for member in group.items() if member in self._number_of}
            free = sorted(known - set(taken))
            if not free:
                self._last += 1
                free = [self._last]
            taken.append(free[0])
            self._number_of.update({member: free[0] for member in group.items()})
        return taken


def stream_fused(
    estimator: PoseEstimator,
    sources: Sequence[str],
    poses: Sequence[CameraPose],
    sinks: Sequence[Sink] = (),
    *,
    make_over_time: MakeOverTime,
    settings: StreamSettings,
    progress: Optional[Progress] = None,
    report: Report = say,
) -> Summary:
    """Give the merged people of each instant to all sinks, in order; the frame is the first camera's.

    Videos are paired by their times and the cameras' offsets, live cameras by the newest pictures.
    `make_over_time` makes the stage over time of one camera. Raises PoseError as `stream` does.
    """
    summary = Summary(source=" ".join(sources))
    with summarized(summary, sinks) as timed:
        with ExitStack() as stack:
            opened = [
                stack.enter_context(closing(open_source(source, report, settings.retry_s)))
                for source in sources
            ]
            if any(source.still for source in opened):
                raise PoseError("--fuse needs videos or cameras; pictures have no times")
            stages = [make_over_time() for _ in opened]
            run = _Run(estimator, opened, poses, settings=settings, summary=summary, report=report)
            for result, begun in run.results(stages):
                for sink in sinks:
                    sink.write(result)
                summary.pictures, summary.people = summary.pictures + 1, summary.people + len(result.people)
                summary.with_people += len(result.people) > 0
                timed.append({**result.stages_ms, "latency": 1000 * (time.perf_counter() - begun)})
                if progress is not None:
                    progress(summary.pictures, result.people)
    return summary


class _Run:
    """One run over open sources."""

    def __init__(
        self,
        estimator: PoseEstimator,
        sources: Sequence[Source],
        poses: Sequence[CameraPose],
        *,
        settings: StreamSettings,
        summary: Summary,
        report: Report,
    ) -> None:
        self._estimator, self._sources, self._poses = estimator, sources, poses
        self._settings, self._summary, self._report = settings, summary, report
        self._people = FusedNumbers()

    def results(self, stages: Sequence[OverTime]) -> Iterator[Tuple[Result, float]]:
        """Yield the merged people of each instant, and time.perf_counter() at its start."""
        used, failures = 0, 0
        offsets_s = [pose.offset_s for pose in self._poses]
        for frames in islice(instants(self._sources, offsets_s), 0, None, self._settings.every):
            try:
                estimates = [self._estimate(frame, pose) for frame, pose in zip(frames, self._poses)]
            except PoseError as error:
                failures, self._summary.skipped = failures + 1, self._summary.skipped + 1
                if failures >= MOST_FAILURES:
                    raise PoseError(
                        f"{failures} pictures in a row are unusable; the last: {error}"
                    ) from error
                self._report(f"skipped: '{printable(frames[0].name, keep='')}': {error}")
                continue
            used, failures = used + 1, 0
            followed = [stage.update(estimate) for stage, estimate in zip(stages, estimates)]
            yield from (self._fused(views) for views in zip(*followed))
            if used == self._settings.most:
                break
        yield from (self._fused(views) for views in zip(*(stage.flush() for stage in stages)))

    def _estimate(self, frame: CapturedFrame, pose: CameraPose) -> Estimate:
        started = time.perf_counter()
        people, evidence = self._estimator.detect(frame.picture, pose.focal_px)[:2]
        kept = is_finite(people)
        self._summary.left_out += int((~kept).sum())
        stages_ms = dict(self._estimator.stages_ms)
        return Estimate(frame, people[kept], evidence.take(kept), stages_ms, started, int((~kept).sum()))

    def _fused(self, views: Sequence[Followed]) -> Tuple[Result, float]:
        fused = fuse([view.tracked.people for view in views], self._poses)
        numbered = [
            {view: (views[view].tracked.numbers or [])[row] for view, row in group.items()}
            for group in fused.members
        ]
        fields = {"cameras": [list(group) for group in fused.members]}
        tracked = Tracked(fused.people, self._people.update(numbered), fields)
        first = views[0].estimate
        return Result(first, tracked, self._sources[0]), first.started


def instants(
    sources: Sequence[Iterator[CapturedFrame]], offsets_s: Sequence[float]
) -> Iterator[Tuple[CapturedFrame, ...]]:
    """Yield the pictures of all sources at the times of the first, until one ends.

    Instants without a picture of every source within TOLERANCE_S are left out; live cameras give the next.
    """
    others = [_Nearest(source, offset) for source, offset in zip(sources[1:], offsets_s[1:])]
    for frame in sources[0]:
        found = [other.at(frame.seconds) for other in others]
        if any(other.ended for other in others):
            return
        if all(each is not None for each in found):
            yield (frame, *(each for each in found if each is not None))


class _Nearest:
    """The picture of a source that is nearest in time."""

    def __init__(self, source: Iterator[CapturedFrame], offset_s: float) -> None:
        self._source, self._offset_s = source, offset_s
        self._live = getattr(source, "live", False)
        self._now = self._next = next(source, None)
        self.ended = self._now is None

    def at(self, seconds: float) -> Optional[CapturedFrame]:
        """Return the picture, or None where it is too far; `ended` is set when there will be none."""
        if self._live:
            now, self._next = self._next, next(self._source, None)
            self.ended = self._next is None
            return now
        while self._next is not None and self._away(self._next, seconds) <= self._away(self._now, seconds):
            self._now, self._next = self._next, next(self._source, None)
        if self._now is not None and self._away(self._now, seconds) <= TOLERANCE_S:
            return self._now
        self.ended = self._next is None
        return None

    def _away(self, frame: Optional[CapturedFrame], seconds: float) -> float:
        return float("inf") if frame is None else abs(frame.seconds + self._offset_s - seconds)
