"""Delay at a step: a held picture of a person is followed by one of another time, at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...runtime.temporal.evidence import DecodedPeople
from ...runtime.tracking.people_over_time import PeopleFilter

STEP_HZ = 60.0
BEFORE, AFTER = 40, 30  # frames
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)  # of a clip; steps lead from each to the next but one
LEAST_MM = 100.0  # way of a joint that counts


def step_delays_ms(
    detections: Sequence[DecodedPeople], make: Callable[[], PeopleFilter | None]
) -> list[float]:
    """Return the delays of all joints that a step moves, over the steps of one clip.

    The delay is the time from the step, midway between two pictures, until a joint has half of its way behind
    it, by linear interpolation. The way is between the filter's own places before and long after the step.

    Args:
        detections: of the frames of a clip.
        make: makes a new filter; None for frames alone, whose delay is 0.
    """
    shown = [frame for frame in detections if len(frame.people)]
    if not shown:
        return []
    chosen = [shown[round(share * (len(shown) - 1))] for share in SHARES]
    delays: list[float] = []
    for before, after in zip(chosen, chosen[2:]):
        first = int(np.argmax(before.people.scores))
        apart = after.people.centres_px - before.people.centres_px[first]
        delays += _delays_ms(_one(before, first), _one(after, int(np.argmin((apart**2).sum(axis=1)))), make())
    return delays


def _one(frame: DecodedPeople, row: int) -> DecodedPeople:
    return DecodedPeople(frame.people[[row]], frame.evidence.take(np.array([row])))


def _delays_ms(
    before: DecodedPeople, after: DecodedPeople, people_filter: PeopleFilter | None
) -> list[float]:
    frames = [before] * BEFORE + [after] * AFTER
    if people_filter is None:
        found = [frame.people for frame in frames]
    else:
        found = [
            people_filter.update(frame.people, [1], index / STEP_HZ, evidence=frame.evidence)
            for index, frame in enumerate(frames)
        ]
        found = found[people_filter.lookahead :] + people_filter.flush()
    places = np.stack([people.joints_mm[0] for people in found])
    ways = places[-1] - places[BEFORE - 1]
    squared = (ways**2).sum(axis=-1)
    done = ((places - places[BEFORE - 1]) * ways).sum(axis=-1) / np.maximum(squared, 1e-9)
    delays = []
    for joint in np.flatnonzero(squared > LEAST_MM**2):
        frame = BEFORE + int(np.argmax(done[BEFORE:, joint] >= 0.5))
        last, now = done[frame - 1, joint], done[frame, joint]
        delays.append(1000 / STEP_HZ * float(frame - BEFORE - 0.5 + (0.5 - last) / (now - last)))
    return delays
