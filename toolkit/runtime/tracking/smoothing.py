"""Smoothing without a learned stage: one-euro and exponential filters over the people of a video.

One-euro filter: Casiez, Roussel and Vogel, CHI 2012. Its cutoff frequency rises with speed, so that people at
rest are calm and fast motion is hardly delayed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, NamedTuple, Optional, Sequence, Union

import numpy as np

from ..pose import PoseFrame, Skeleton
from ..temporal.evidence import Evidence

EXPONENTIAL_SHARE = 0.3
Share = Union[float, np.ndarray]
LONGEST_STEP_S = 1.0
_LEAST = 1e-6


class Cutoff(NamedTuple):
    """Cutoff frequency of a one-euro filter: `rest_hz` at rest, and `per_speed` Hz more for each m/s."""

    rest_hz: float
    per_speed: float


POSE, PICTURE, DEPTH = Cutoff(1.6, 2.0), Cutoff(1.5, 4.0), Cutoff(0.3, 0.5)


@dataclass(frozen=True)
class OneEuroSettings:
    """Cutoffs of a one-euro filter.

    Attributes:
        pose: of 3D joints relative to the pelvis.
        picture: of centre and joints in the picture, in metres at the person.
        side: of the pelvis across the viewing direction.
        depth: of the distance.
        speed_hz: cutoff of the speed itself.
    """

    pose: Cutoff = POSE
    picture: Cutoff = PICTURE
    side: Cutoff = PICTURE
    depth: Cutoff = DEPTH
    speed_hz: float = 1.0


class _Channels(NamedTuple):
    """Filtered quantities of N people.

    Attributes:
        pose: (N, J, 3) joints_mm.
        picture: (N, 1 + J, 2) the centre in px, and joints relative to it.
        side: (N, 1, 2) x / z and y / z of the pelvis.
        depth: (N, 1, 1) log z of the pelvis.
    """

    pose: np.ndarray
    picture: np.ndarray
    side: np.ndarray
    depth: np.ndarray

    def take(self, which: Sequence[int]) -> "_Channels":
        """Return some people."""
        return _Channels(*(values[list(which)] for values in self))


class _State(NamedTuple):
    """N people: filtered values, their speeds per second, the last detections, and their scores."""

    values: _Channels
    speeds: _Channels
    detected: _Channels
    scores: np.ndarray


class Smoother:
    """Filters tracked people; people without a detection move on at the speed of their pelvis."""

    lookahead = 0

    def __init__(self, skeleton: Skeleton, settings: Optional[OneEuroSettings] = None) -> None:
        """Start without people.

        Args:
            skeleton: of the people.
            settings: of a one-euro filter; None filters exponentially, with a share of EXPONENTIAL_SHARE for
                the new picture.
        """
        self._skeleton, self._settings = skeleton, settings
        self._numbers: List[int] = []
        self._state: Optional[_State] = None
        self._seconds: Optional[float] = None

    def update(
        self,
        people: PoseFrame,
        numbers: Sequence[int],
        seconds: float,
        *,
        evidence: Optional[Evidence] = None,
        lost: Sequence[int] = (),
    ) -> PoseFrame:
        """Return the people of a picture, filtered, then lost people, predicted.

        People in neither `numbers` nor `lost` are forgotten.

        Args:
            people: of the picture.
            numbers: (N,) of its people, each once.
            seconds: time of the picture.
            evidence: not used.
            lost: numbers of people without a detection in this picture; unknown ones are ignored.
        """
        elapsed = 0.0 if self._seconds is None else min(seconds - self._seconds, LONGEST_STEP_S)
        given, row_of = [int(number) for number in numbers], {n: r for r, n in enumerate(self._numbers)}
        missing = [int(number) for number in lost if int(number) in row_of]
        new = _channels(people)
        still = _Channels(*(0 * values for values in new))
        state = _State(_Channels(*(values.copy() for values in new)), still, new, people.scores)
        known = [row for row, number in enumerate(given) if number in row_of]
        if self._state is not None and known:
            before = _take(self._state, [row_of[given[row]] for row in known])
            after = self._filtered(
                before, _take(state, known), elapsed=elapsed, scale=_to_metres(new).take(known)
            )
            for old, values in zip((*state.values, *state.speeds), (*after.values, *after.speeds)):
                old[known] = values
        if self._state is not None and missing:
            moved = _coasted(_take(self._state, [row_of[number] for number in missing]), elapsed)
            state = _joined(state, moved)
        self._numbers, self._state, self._seconds = given + missing, state, seconds
        return self._frame(state)

    def flush(self) -> List[PoseFrame]:
        """Forget everyone; there is nothing to return without a lookahead."""
        self._numbers, self._state, self._seconds = [], None, None
        return []

    def _filtered(self, before: _State, now: _State, *, elapsed: float, scale: _Channels) -> _State:
        """Return people after one more picture; `scale` is in metres per unit."""
        settings = self._settings
        if settings is None:
            return now._replace(values=_blend(before.values, now.values, (EXPONENTIAL_SHARE,) * 4))
        if elapsed <= 0:
            return now._replace(speeds=before.speeds)
        rates = _Channels(*((new - old) / elapsed for old, new in zip(before.detected, now.detected)))
        speeds = _blend(before.speeds, rates, (_share(settings.speed_hz, elapsed),) * 4)
        cutoffs = (settings.pose, settings.picture, settings.side, settings.depth)
        shares = [
            _share(
                cutoff.rest_hz + cutoff.per_speed * np.linalg.norm(speed * metres, axis=-1, keepdims=True),
                elapsed,
            )
            for cutoff, speed, metres in zip(cutoffs, speeds, scale)
        ]
        return now._replace(values=_blend(before.values, now.values, shares), speeds=speeds)

    def _frame(self, state: _State) -> PoseFrame:
        pose, picture, side, depth = state.values
        centres = picture[:, 0]
        roots = np.exp(depth[:, 0]) * np.concatenate([side[:, 0], np.ones_like(depth[:, 0])], axis=1)
        joints_px = picture[:, 1:] + centres[:, None]
        frame = (state.scores, centres, restore_bones(pose, self._skeleton), roots, joints_px)
        return PoseFrame(*(np.ascontiguousarray(values, np.float32) for values in frame))


def restore_bones(joints_mm: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return poses (N, J, 3) with the skeleton's bone lengths; a mean of poses has shorter bones."""
    restored = joints_mm.copy()
    for joint, length_mm in zip(skeleton.bones, skeleton.bone_lengths_mm):
        parent = skeleton.parents[joint]
        bone = joints_mm[:, joint] - joints_mm[:, parent]
        length = np.sqrt((bone * bone).sum(axis=1, keepdims=True))
        restored[:, joint] = restored[:, parent] + bone * (length_mm / np.maximum(length, _LEAST))
    return restored


def _channels(people: PoseFrame) -> _Channels:
    depths = np.maximum(people.roots_mm[:, 2:], 1.0)
    centres = people.centres_px[:, None]
    return _Channels(
        people.joints_mm.copy(),
        np.concatenate([centres, people.joints_px - centres], axis=1),
        (people.roots_mm[:, :2] / depths)[:, None],
        np.log(depths)[:, None],
    )


def _to_metres(channels: _Channels) -> _Channels:
    """Return metres per unit of the channels, (N, 1, 1) each."""
    count = len(channels.pose)
    spread_px = np.linalg.norm(channels.picture[:, 1:].std(axis=1), axis=1)
    spread_mm = np.linalg.norm(channels.pose[..., :2].std(axis=1), axis=1)
    per_px = (spread_mm / 1000 / np.maximum(spread_px, _LEAST)).reshape(count, 1, 1)
    depth_m = np.exp(channels.depth) / 1000
    return _Channels(np.full((count, 1, 1), 1e-3, np.float32), per_px, depth_m, depth_m)


def _share(cutoff_hz: Share, elapsed: float) -> np.ndarray:
    """Return the share of the new value in a low-pass filter of first order."""
    turned = 2 * np.pi * np.asarray(cutoff_hz) * elapsed
    return np.asarray(turned / (1 + turned))


def _blend(old: _Channels, new: _Channels, shares: Sequence[Share]) -> _Channels:
    return _Channels(*(a + share * (b - a) for a, b, share in zip(old, new, shares)))


def _coasted(state: _State, elapsed: float) -> _State:
    """Return people that move on: the place keeps its speed, the pose stays."""
    values, speeds = state.values, state.speeds
    picture = values.picture.copy()
    picture[:, 0] += elapsed * speeds.picture[:, 0]
    moved = values._replace(picture=picture, side=values.side + elapsed * speeds.side)
    return state._replace(values=moved, detected=moved)


def _take(state: _State, which: List[int]) -> _State:
    values, speeds, detected, scores = state
    return _State(values.take(which), speeds.take(which), detected.take(which), scores[which])


def _joined(first: _State, second: _State) -> _State:
    values, speeds, detected = (
        _Channels(*(np.concatenate(pair) for pair in zip(a, b))) for a, b in zip(first[:3], second[:3])
    )
    return _State(values, speeds, detected, np.concatenate([first.scores, second.scores]))
