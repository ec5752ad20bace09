"""Adapt a checkpoint to a site: two or more recordings in, a better checkpoint or a refusal out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from ...adaptation.relative_pose import relative_pose
from ...adaptation.sightings import Sightings, sight
from ...errors import PosecError
from ...network.checkpoint import Checkpoint
from ...network.embedding import PoseEmbedding, set_decoder
from ...network.network import KeypointNetwork
from ...network.torch_kinematics import rotation_from_6d
from ...runtime.video.sources import open_source
from ...runtime.views.camera_poses import FIRST, CameraPose
from ..learning.losses import posed_joints
from .judge import Agreement, agreement, part
from .latents import LatentEstimator, Latents
from .learn import SiteSettings, adapted, read
from .lessons import Lessons, lessons_of

Progress = Callable[[str], Callable[[int, int], None]]
LEAST_LESSONS = 40
MOST_LOST = 0.01  # of the people on the held-back part
MOST_ELSEWHERE_MM = 15.0


@dataclass(frozen=True)
class Recording:
    """A camera's video and its focal length in pixels of its pictures, None as the specification states."""

    source: str
    focal_px: float | None = None


@dataclass(frozen=True)
class Adapted:
    """An adapted network and what changed.

    Attributes:
        network: with new pose heads.
        poses: of the cameras.
        lessons: number of pairs that it learned from.
        held_back_s: seconds of the recording that it did not learn from.
        before, after: agreement on these, of the first camera with each other one.
        elsewhere_mm: mean change of the joints of people from elsewhere.
        elsewhere_people: number of these.
    """

    network: KeypointNetwork
    poses: list[CameraPose]
    lessons: int
    held_back_s: float
    before: list[Agreement]
    after: list[Agreement]
    elsewhere_mm: float
    elsewhere_people: int


def adapt_site(
    checkpoint: Checkpoint,
    recordings: Sequence[Recording],
    elsewhere: str,
    *,
    held_back: float,
    settings: SiteSettings,
    progress: Progress,
) -> Adapted:
    """Return the network adapted to a site.

    Args:
        checkpoint: to start from.
        recordings: of synchronized cameras; the first is the frame of reference.
        elsewhere: folder of pictures of people whose poses must stay.
        held_back: last part of the recordings, to judge by.
        settings: of the learning.
        progress: makes a callback for a step of the work.

    Raises PosecError as `relative_pose` does, for too few lessons, and where the network became worse.
    """
    watched = [_watch(checkpoint, recording, progress("pictures")) for recording in recordings]
    (first, known), end_s = watched[0], float(watched[0][0].seconds[-1])
    split_s = (1 - held_back) * end_s
    learned, _ = part(first, 0.0, split_s)
    poses, lessons = [FIRST._replace(focal_px=first.camera.mean_focal_px)], []
    for other, latents in watched[1:]:
        theirs, _ = part(other, 0.0, split_s)
        found = relative_pose(learned, theirs)
        poses.append(found.pose)
        lessons.append(lessons_of(learned, theirs, found, (known, latents)))
    everything = _joined(lessons)
    others = _latents_of(checkpoint, elsewhere, progress("pictures elsewhere"))
    decode = _decoder(checkpoint)
    with _one_thread():
        network = adapted(
            checkpoint.network,
            everything,
            others,
            decode=decode,
            settings=settings,
            progress=progress("steps"),
        )
    new = checkpoint._replace(network=network)
    again = [
        _watch(new, recording, progress("held-back pictures"), since_s=split_s)[0] for recording in recordings
    ]
    before = _agreements([part(each, split_s, np.inf)[0] for each, _ in watched], poses)
    result = Adapted(
        network,
        poses,
        len(everything),
        end_s - split_s,
        before,
        _agreements(again, poses),
        _moved_mm(checkpoint.network, network, others, decode=decode),
        len(others),
    )
    _check(result)
    return result


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread: the matrices are small, and more threads wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _watch(
    checkpoint: Checkpoint,
    recording: Recording,
    progress: Callable[[int, int], None],
    since_s: float = 0.0,
) -> tuple[Sightings, list[Latents]]:
    estimator = LatentEstimator(checkpoint)
    found = sight(estimator, recording.source, recording.focal_px, progress, since_s=since_s)
    return found, estimator.latents


def _latents_of(checkpoint: Checkpoint, folder: str, progress: Callable[[int, int], None]) -> np.ndarray:
    """Return the latents (N, 256) of the people in a folder of pictures."""
    estimator = LatentEstimator(checkpoint)
    with closing(open_source(folder)) as frames:
        for done, frame in enumerate(frames, start=1):
            estimator(frame.picture)
            progress(done, 0)
    return np.concatenate([latent.vectors for latent in estimator.latents])


def _joined(lessons: Sequence[Lessons]) -> Lessons:
    """Return the lessons of all cameras. Raises PosecError for fewer than LEAST_LESSONS."""
    count = sum(len(each.farther.T) for each in lessons)
    if count < LEAST_LESSONS:
        raise PosecError(
            f"the cameras see one person together at {count} instants, {LEAST_LESSONS} are needed; "
            "record longer, with people where the pictures overlap"
        )
    some = [each for each in lessons if len(each.farther)]
    names = ("vectors", "joints_m", "farther")
    return Lessons(*(np.concatenate([getattr(each, name) for each in some], axis=1) for name in names))


def _decoder(checkpoint: Checkpoint) -> Callable[[torch.Tensor], torch.Tensor]:
    embedding = PoseEmbedding()
    set_decoder(embedding, {name: torch.from_numpy(array) for name, array in checkpoint.decoder.items()})
    return embedding.decode


def _agreements(sightings: Sequence[Sightings], poses: Sequence[CameraPose]) -> list[Agreement]:
    return [
        agreement(sightings[0], other, pose) for other, pose in zip(sightings[1:], poses[1:], strict=True)
    ]


@torch.no_grad()
def _moved_mm(
    before: KeypointNetwork,
    after: KeypointNetwork,
    vectors: np.ndarray,
    *,
    decode: Callable[[torch.Tensor], torch.Tensor],
) -> float:
    """Return the mean distance between the joints that two networks read from latents (N, 256)."""
    if not len(vectors):
        return 0.0
    joints = []
    for network in (before, after):
        maps = read(network, torch.from_numpy(vectors))
        joints.append(posed_joints(maps.embedding, rotation_from_6d(maps.rotation), decode))
    return 1000 * float((joints[0] - joints[1]).norm(dim=-1).mean())


def _check(result: Adapted) -> None:
    """Raise PosecError where the adapted network is worse."""
    before, after = (
        np.mean([each.disagreement_mm for each in agreements]) for agreements in (result.before, result.after)
    )
    people = [sum(each.people for each in agreements) for agreements in (result.before, result.after)]
    if after >= before:
        raise PosecError(
            f"adapting made the cameras disagree more: {before:.1f} mm before, {after:.1f} mm after on the "
            "held-back part; nothing is written. Record longer, with more kinds of motion"
        )
    if people[1] < (1 - MOST_LOST) * people[0]:
        raise PosecError(
            f"adapting loses people on the held-back part: {people[0]} before, {people[1]} after; nothing is "
            "written. Record longer"
        )
    if result.elsewhere_mm > MOST_ELSEWHERE_MM:
        raise PosecError(
            f"adapting moves the joints of people from elsewhere by {result.elsewhere_mm:.1f} mm, at most "
            f"{MOST_ELSEWHERE_MM:g} are allowed; nothing is written. Record longer, with more kinds of motion"
        )
