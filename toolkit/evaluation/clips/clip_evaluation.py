"""Protocol "rendered-clips": people over time by several filters, on the same detections."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...runtime.estimator import PoseEstimator
from ...runtime.pose import PoseSpec
from ...runtime.temporal.evidence import DecodedPeople
from ...runtime.tracking.people_over_time import PeopleFilter, PeopleOverTime, TrackedPeople
from ..joints import restrict, shared_joints
from .clip_file import LabelledClip
from .clip_metrics import measure
from .course import course_of
from .follow import Followed, follow
from .steps import step_delays_ms

RENDERED_CLIPS = "rendered-clips"
PER_FRAME = "per frame"

if TYPE_CHECKING:
    MakeFilter = Callable[[], PeopleFilter | None]
    Progress = Callable[[int, int], None]


def detect(
    estimator: PoseEstimator, clips: Sequence[LabelledClip], progress: Progress | None = None
) -> list[list[DecodedPeople]]:
    """Return the detections of every frame of every clip, each at the clip's focal length."""
    total = sum(len(clip.frames) for clip in clips)
    found: list[list[DecodedPeople]] = []
    done = 0
    for clip in clips:
        frames = []
        for picture in clip.pictures():
            frames.append(DecodedPeople(*estimator.detect(picture, clip.focal_px)[:2]))
            done += 1
            if progress:
                progress(done, total)
        found.append(frames)
    return found


class Tracks(NamedTuple):
    """The people of the frames of a clip, and the time of each update in milliseconds."""

    people: list[TrackedPeople]
    update_ms: list[float]


def track(detections: Sequence[DecodedPeople], fps: float, people_filter: PeopleFilter | None) -> Tracks:
    """Return the people of a clip over time; a new filter is needed for each clip."""
    over_time = PeopleOverTime(people_filter)
    found: list[TrackedPeople] = []
    update_ms = []
    for index, (people, evidence) in enumerate(detections):
        started = perf_counter()
        tracked = over_time.update(people, index / fps, evidence)
        update_ms.append(1000 * (perf_counter() - started))
        found += [tracked] if tracked is not None else []
    return Tracks(found + over_time.flush(), update_ms)


class ClipsEvaluation(NamedTuple):
    """Rows of protocol "rendered-clips", and the course of one joint for a plot; None if no one is found."""

    rows: list[dict[str, Any]]
    course: dict[str, Any] | None


def evaluate_clips(
    detections: Sequence[Sequence[DecodedPeople]],
    clips: Sequence[LabelledClip],
    *,
    spec: PoseSpec,
    filters: Mapping[str, MakeFilter],
) -> ClipsEvaluation:
    """Return rows of protocol "rendered-clips": for each filter, of all clips and of each frame rate.

    Args:
        detections: from `detect`.
        clips: the truth.
        spec: of the network.
        filters: name → function that makes a new filter.

    Returns:
        The course, see `course.course_of`; and rows with `protocol`, `method`, `subset`, the metrics of
        `clip_metrics.measure`, `step_ms`: the median of `steps.step_delays_ms`, None without a step, and
        `update_ms`: the median time of tracker and filter in a frame.

    Raises PosecError for a skeleton without a pelvis.
    """
    names = shared_joints(spec.skeleton, clips[0].skeleton, needed=("pelvis",))
    skeleton = restrict(clips[0].skeleton, names)
    rows, everyone = [], {}
    for method, make in filters.items():
        followed: list[Followed] = []
        times: list[list[float]] = []
        for frames, clip in zip(detections, clips):
            tracks = track(frames, clip.fps, make())
            times.append(tracks.update_ms)
            followed.append(
                follow(
                    tracks.people, clip, skeleton=spec.skeleton, centre_joints=spec.centre_joints, names=names
                )
            )
        everyone[method] = followed
        delays = [step_delays_ms(frames, make) for frames in detections]
        for subset, chosen in _subsets(clips).items():
            row = measure([followed[index] for index in chosen], skeleton)
            update_ms = float(np.median(np.concatenate([times[index] for index in chosen])))
            stepped = [delay for index in chosen for delay in delays[index]]
            rows.append(
                {
                    "protocol": RENDERED_CLIPS,
                    "method": method,
                    "subset": subset,
                    **row,
                    "step_ms": float(np.median(stepped)) if stepped else None,
                    "update_ms": update_ms,
                }
            )
    return ClipsEvaluation(rows, course_of(everyone, clips, skeleton))


def _subsets(clips: Sequence[LabelledClip]) -> dict[str, list[int]]:
    """Return the indices of all clips, and of those of each frame rate."""
    rates = sorted({clip.fps for clip in clips})
    subsets = {"all": list(range(len(clips)))}
    if len(rates) > 1:
        subsets |= {f"{fps:g} Hz": [i for i, clip in enumerate(clips) if clip.fps == fps] for fps in rates}
    return subsets
