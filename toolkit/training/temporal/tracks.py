"""Tracks: detections of each person of labelled clips, with the truth."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...errors import PosecError
from ...runtime.estimator import PoseEstimator
from ...runtime.files.pictures import read_picture
from ...runtime.temporal.evidence import DecodedPeople
from ...runtime.temporal.record import Record, record_of
from ...runtime.tracking.assignment import assign
from .truth import Truth, truth_of

# A detection is a person's if its centre is so near, in metres at the person, and no other's is nearer.
NEAR_M = 0.4
LEAST_VISIBLE = 0.25
SHORTEST = 8  # frames
KEYPOINTS = 12


class Track(NamedTuple):
    """One person over T frames.

    Attributes:
        record: of T frames; where the person is not seen, that of the last frame with a detection.
        truth: of the same frames.
        is_seen: (T,).
        seconds: (T,) since the frame before.
        clip: name.
    """

    record: Record
    truth: Truth
    is_seen: np.ndarray
    seconds: np.ndarray
    clip: str


class _Labels(NamedTuple):
    """Labels of one clip: joints (T, P, 17, 3) in metres, camera frame, and visible shares (T, P)."""

    joints_m: np.ndarray
    visible: np.ndarray
    focal_px: float
    principal_px: np.ndarray
    fps: float


def clip_names(folder: Path) -> list[str]:
    """Return the names of the labelled clips of a folder. Raises PosecError where there is none."""
    names = sorted(path.stem for path in folder.glob("*.json") if (folder / path.stem).is_dir())
    if not names:
        raise PosecError(f"no labelled clip in '{folder}'; give a folder that `posec train clips` wrote")
    return names


def read_tracks(estimator: PoseEstimator, folder: Path, names: Sequence[str]) -> Iterator[Track]:
    """Yield the track of each person of some clips, as a network detects them."""
    for name in names:
        labels = _labels(json.loads((folder / f"{name}.json").read_text(encoding="utf-8")))
        frames = sorted((folder / name).glob("*.jpg"))[: len(labels.joints_m)]
        detections = (estimator.detect(read_picture(frame), labels.focal_px) for frame in frames)
        found = [DecodedPeople(detection.people, detection.evidence) for detection in detections]
        for person in range(labels.joints_m.shape[1]):
            yield from _track(found, labels, person, clip=name)


def _labels(plain: dict[str, Any]) -> _Labels:
    frames = plain["frames"]
    people = [frame["people"] for frame in frames]
    joints = np.array([[person["joints_mm"] for person in frame] for frame in people], float)
    roots = np.array([[person["root_mm"] for person in frame] for frame in people], float)
    visible = np.array([[person["visible"] for person in frame] for frame in people], float)
    joints_m = (joints + roots[:, :, None]) / 1000
    return _Labels(joints_m, visible, plain["focal_px"], np.array(plain["principal_px"]), plain["fps"])


def _track(found: Sequence[DecodedPeople], labels: _Labels, person: int, *, clip: str) -> Iterator[Track]:
    """Yield the stretches in which one person is detected."""
    count = len(found)
    focal = np.full(count, labels.focal_px)
    truth = truth_of(labels.joints_m[:, person], focal, labels.principal_px)
    rows = [_row(decoded, labels, frame, person) for frame, decoded in enumerate(found)]
    is_seen = np.array([row is not None for row in rows]) & (labels.visible[:count, person] > LEAST_VISIBLE)
    seen = np.flatnonzero(is_seen)
    if len(seen) < SHORTEST:
        return
    held = np.maximum.accumulate(np.where(is_seen, np.arange(count), -1))
    records = []
    for frame in range(seen[0], seen[-1] + 1):
        decoded, row = found[held[frame]], rows[held[frame]]
        assert row is not None
        whole = record_of(decoded.people, decoded.evidence, KEYPOINTS)
        records.append(whole.take(np.array([row])))
    record = Record(*(np.concatenate(values) for values in zip(*records, strict=True)))
    stretch = np.arange(seen[0], seen[-1] + 1)
    seconds = np.full(len(stretch), 1 / labels.fps)
    yield Track(record, truth.take(stretch), is_seen[stretch], seconds, clip)


def _row(decoded: DecodedPeople, labels: _Labels, frame: int, person: int) -> int | None:
    """Return the detection of a person by the assignment of all people, or None."""
    people = decoded.people
    if not len(people):
        return None
    everyone = labels.joints_m[frame]
    focal = np.full(len(everyone), labels.focal_px)
    truth = truth_of(everyone, focal, labels.principal_px)
    apart = np.linalg.norm(people.centres_px[:, None] - truth.centres_px, axis=-1) / truth.px_per_m
    unassigned = np.full((len(people), len(people)), NEAR_M)
    chosen = assign(np.hstack([np.minimum(apart, 2 * NEAR_M), unassigned]))
    own = np.flatnonzero(chosen == person)
    return int(own[0]) if len(own) else None


def save_tracks(path: Path, tracks: Sequence[Track]) -> None:
    """Write tracks as an .npz file, one after the other."""
    arrays: dict[str, np.ndarray] = {
        "lengths": np.array([len(track.seconds) for track in tracks]),
        "clips": np.array([track.clip for track in tracks]),
        "is_seen": np.concatenate([track.is_seen for track in tracks]),
        "seconds": np.concatenate([track.seconds for track in tracks]),
    }
    for part in ("record", "truth"):
        for field in getattr(tracks[0], part)._fields:
            values = [getattr(getattr(track, part), field) for track in tracks]
            arrays[f"{part}.{field}"] = np.concatenate(values).astype(np.float32)
    np.savez_compressed(path, allow_pickle=False, **arrays)


def load_tracks(path: Path) -> list[Track]:
    """Read what `save_tracks` wrote. Raises PosecError for another file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = dict(file)
        record = Record(**{name: arrays[f"record.{name}"] for name in Record._fields})
        truth = Truth(**{name: arrays[f"truth.{name}"] for name in Truth._fields})
        ends = np.cumsum(arrays["lengths"])
        return [
            Track(
                record.take(rows),
                truth.take(rows),
                arrays["is_seen"][rows],
                arrays["seconds"][rows],
                str(clip),
            )
            for start, end, clip in zip(ends - arrays["lengths"], ends, arrays["clips"], strict=True)
            for rows in [np.arange(start, end)]
        ]
    except (OSError, KeyError, ValueError) as error:
        raise PosecError(f"'{path}' holds no tracks: {error}; see `posec train errors`") from error
