"""The time offset of two cameras, by the motion of the people that both see."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..errors import PosecError
from .pairs import pairs_of, simultaneous
from .sightings import Sightings

MOST_OFFSET_S = 3.0
MOST_FRAMES = 400  # compared at each offset
LEAST_FRAMES = 30  # that see people in both cameras
# At the right time poses are as alike as the network's errors allow; elsewhere they are of other instants.
LARGEST_CONTRAST = 0.9
KEPT = 0.8  # of the frames, the most alike: others have false detections


class Offset(NamedTuple):
    """The time offset.

    Attributes:
        seconds: to add to the times of camera B to get those of A.
        contrast: disagreement of the poses at this offset, relative to the median over all offsets.
    """

    seconds: float
    contrast: float


def find_offset(a: Sightings, b: Sightings, most_s: float = MOST_OFFSET_S) -> Offset:
    """Return the offset at which the poses of the two cameras agree best.

    At each offset, people of one instant are compared after the best rotation, the most alike pair of a frame
    counts, and the mean over most frames is the disagreement; between steps, a parabola has its minimum.
    Raises PosecError, naming the figures, where
    few frames have people in both cameras, and where no offset stands out.
    """
    step = max(a.step_s, b.step_s)
    offsets = step * np.arange(-round(most_s / step), round(most_s / step) + 1)
    disagreements, counts = np.full(len(offsets), np.inf), np.zeros(len(offsets), int)
    for index, offset_s in enumerate(offsets):
        frames = simultaneous(a, b, float(offset_s))
        counts[index] = len(frames)
        if len(frames) >= LEAST_FRAMES:
            chosen = frames[np.linspace(0, len(frames) - 1, min(len(frames), MOST_FRAMES)).astype(int)]
            pairs = pairs_of(a, b, chosen)
            starts = np.flatnonzero(np.diff(pairs.frames[:, 0], prepend=-1))
            least_mm = np.sort(np.minimum.reduceat(pairs.apart_mm, starts))
            disagreements[index] = least_mm[: max(1, round(KEPT * len(least_mm)))].mean()
    if not np.isfinite(disagreements).any():
        raise PosecError(
            f"'{a.name}' and '{b.name}' both see people at {counts.max()} instants, and {LEAST_FRAMES} are "
            "needed; record people where the pictures overlap"
        )
    best = int(disagreements.argmin())
    contrast = float(disagreements[best] / np.median(disagreements[np.isfinite(disagreements)]))
    if contrast > LARGEST_CONTRAST:
        raise PosecError(
            f"no time offset of '{a.name}' and '{b.name}' within {most_s:g} s stands out: the best leaves "
            f"{100 * contrast:.0f} % of the usual disagreement, at most {100 * LARGEST_CONTRAST:.0f} % is "
            "needed; start the cameras together, and record people who move"
        )
    return Offset(float(offsets[best]) + step * _vertex(disagreements[max(best - 1, 0) : best + 2]), contrast)


def _vertex(values: np.ndarray) -> float:
    """Return the place of the minimum of a parabola through three values at -1, 0 and 1; 0 without three."""
    if len(values) < 3 or not np.isfinite(values).all():
        return 0.0
    before, least, after = values
    bend = before - 2 * least + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend > 0 else 0.0
