"""How much the cameras of a site agree, without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...adaptation.pairs import pairs_of, simultaneous
from ...adaptation.relative_pose import agreeing
from ...adaptation.sightings import Sightings
from ...errors import PosecError
from ...runtime.views.camera_poses import CameraPose


@dataclass(frozen=True)
class Agreement:
    """Figures of two cameras.

    Attributes:
        people: people found by both cameras together.
        pairs: sightings of one person by both.
        disagreement_mm: mean distance of the joints of a pair, relative to the pelvis.
        root_mm: mean distance of the two estimates of a pelvis.
    """

    people: int
    pairs: int
    disagreement_mm: float
    root_mm: float


def agreement(a: Sightings, b: Sightings, pose: CameraPose) -> Agreement:
    """Return how much two cameras agree; `pose` is of B in A's frame.

    Raises PosecError where no person is seen by both.
    """
    frames = simultaneous(a, b, pose.offset_s)
    pairs = agreeing(pairs_of(a, b, frames), pose.rotation) if len(frames) else None
    if pairs is None or not len(pairs.frames):
        raise PosecError(
            f"the held-back part of '{a.name}' and '{b.name}' shows no person in both pictures; "
            "record longer, or hold back another part"
        )
    apart, roots = [], []
    for (i, j), (row, other) in zip(pairs.frames.tolist(), pairs.rows.tolist(), strict=True):
        mine, theirs = a.people[i], b.people[j]
        turned = theirs.joints_mm[other] @ pose.rotation.T
        apart.append(np.linalg.norm(mine.joints_mm[row] - turned, axis=-1).mean())
        moved = theirs.roots_mm[other] @ pose.rotation.T + pose.position_mm
        roots.append(np.linalg.norm(mine.roots_mm[row] - moved))
    people = sum(len(each) for sightings in (a, b) for each in sightings.people)
    return Agreement(people, len(pairs.frames), float(np.mean(apart)), float(np.mean(roots)))


def part(sightings: Sightings, low_s: float, high_s: float) -> tuple[Sightings, np.ndarray]:
    """Return the sightings between two times, and the indices of their frames."""
    chosen = np.flatnonzero((sightings.seconds >= low_s) & (sightings.seconds < high_s))
    people: Sequence = [sightings.people[index] for index in chosen]
    return replace(sightings, people=tuple(people), seconds=sightings.seconds[chosen]), chosen
