"""Labelled people of recordings by several synchronized cameras, and their embeddings by a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...device.matching import match_people
from ...errors import PosecError
from ...runtime.pose import PoseFrame, Skeleton
from ..clips.clip_file import LabelledClip
from ..clips.follow import LEAST_VISIBLE
from ..joints import in_joints, shared_joints, with_centres

if TYPE_CHECKING:
    from ...runtime.estimator import PoseEstimator

    Progress = Callable[[int, int], None]

LEAST_JOINTS = 4  # that Procrustes needs


class LabelledView(NamedTuple):
    """One picture of a recording.

    Attributes:
        recording: name of the recording.
        camera: name of the camera; recordings by the same camera share it.
        instant: number among the frames that are read; equal numbers of a recording are simultaneous.
        focal_px: focal length in pixels of the picture.
        people: true people, in the same order in all pictures of the recording.
        visible: (N,) fraction 0..1 of each.
        picture: reads the picture (H, W, 3) uint8 BGR.
    """

    recording: str
    camera: str
    instant: int
    focal_px: float
    people: PoseFrame
    visible: np.ndarray
    picture: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Recordings:
    """Recordings by several cameras.

    Attributes:
        views: every picture.
        skeleton: of the people.
    """

    views: tuple[LabelledView, ...]
    skeleton: Skeleton


@dataclass(frozen=True)
class EmbeddedPeople:
    """N people that a network found in recordings.

    Attributes:
        embeddings: (N, E).
        poses_mm: (N, J, 3) true poses in their camera's frame.
        subjects: (N,) int; a person of a recording.
        cameras: (N,) int.
        instants: (N,) int; numbers of frames.
        found_share: people found of those that are visible.
    """

    embeddings: np.ndarray
    poses_mm: np.ndarray
    subjects: np.ndarray
    cameras: np.ndarray
    instants: np.ndarray
    found_share: float


def recordings_of(clips: Sequence[LabelledClip], step: int = 1) -> Recordings:
    """Return every `step`-th frame of the clips that belong to recordings by several cameras.

    Raises PosecError without any, and where the clips of a recording differ in frames, rates or people.
    """
    groups: dict[str, list[LabelledClip]] = {}
    for clip in clips:
        groups.setdefault(clip.recording, []).append(clip)
    groups = {name: group for name, group in groups.items() if len(group) > 1}
    if not groups:
        raise PosecError(
            f"all {len(clips)} clips have one camera each, and retrieval needs two of the same people; "
            "render them with `posec train clips --views 4`"
        )
    for name, group in groups.items():
        if len({(len(clip.frames), clip.fps, len(clip.frames[0].people)) for clip in group}) > 1:
            raise PosecError(
                f"the clips of recording '{name}' differ in frames, frames per second or people; "
                "render them again"
            )
    views = tuple(view for group in groups.values() for clip in group for view in _views(clip, step))
    return Recordings(views, clips[0].skeleton)


def _views(clip: LabelledClip, step: int) -> Iterator[LabelledView]:
    for index, scene in enumerate(clip.frames[::step]):
        yield LabelledView(
            clip.recording,
            clip.name,
            index,
            scene.focal_px,
            scene.people,
            scene.visible,
            lambda index=index * step: clip.picture(index),  # type: ignore[misc]
        )


def embed_people(
    estimator: PoseEstimator, recordings: Recordings, progress: Progress | None = None
) -> EmbeddedPeople:
    """Return the people that a network finds in recordings, with its embeddings.

    Pairs are one-to-one, centres less than half a torso apart; people who are less than a quarter visible are
    left out. Poses have the joints that both skeletons share. Raises PosecError for too few of them.
    """
    spec, truth = estimator.spec, recordings.skeleton
    names = shared_joints(spec.skeleton, truth, needed=("pelvis", "neck"))
    if len(names) < LEAST_JOINTS:
        raise PosecError(f"retrieval compares poses of {LEAST_JOINTS} joints or more, got {', '.join(names)}")
    numbers: dict[object, int] = {}
    embeddings, poses, rows, people = [], [], [], 0
    for done, view in enumerate(recordings.views, start=1):
        found, evidence = estimator.detect(view.picture(), view.focal_px)[:2]
        found = with_centres(found, spec.skeleton, spec.centre_joints)
        true = in_joints(view.people, truth, names, root="pelvis").joints_mm
        is_visible = view.visible >= LEAST_VISIBLE
        people += int(is_visible.sum())
        for mine, person in match_people(found, view.people, truth):
            if is_visible[person]:
                subject = numbers.setdefault((view.recording, person), len(numbers))
                camera = numbers.setdefault(view.camera, len(numbers))
                embeddings.append(evidence.embeddings[mine])
                poses.append(true[person])
                rows.append((subject, camera, view.instant))
        if progress:
            progress(done, len(recordings.views))
    subjects, cameras, instants = np.array(rows, int).reshape(-1, 3).T
    return EmbeddedPeople(
        np.array(embeddings, np.float64).reshape(len(rows), -1),
        np.array(poses, np.float64).reshape(len(rows), len(names), 3),
        subjects,
        cameras,
        instants,
        found_share=len(rows) / people if people else float("nan"),
    )
