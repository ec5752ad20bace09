"""TemporalStage: the people of each picture, corrected from their last frames."""

from __future__ import annotations

import math
from collections import deque
from typing import Deque, List, Mapping, NamedTuple, Optional, Sequence

import numpy as np

from ..decoding.decode import no_people
from ..errors import PoseError
from ..pose import PoseSpec
from ..pose_frame import PoseFrame
from .causal_network import CausalNetwork
from .correction import corrected, correction_of, keypoint_count, output_size
from .evidence import Evidence
from .filters import filtered
from .record import USUAL_RATE, Record, features, record_of, unpacked
from .weights import LOOKAHEADS, temporal_weights


class _Pending(NamedTuple):
    """A frame that waits for later ones: its people, in the order in which they were given."""

    record: Record
    numbers: List[int]


class TemporalStage:
    """Corrects poses, places and key points of tracked people by a causal network over their last frames.

    All people advance by one frame at each update. A person without a detection keeps the last one, and the
    network predicts the motion. A new person's first frame stands for all earlier ones.

    Attributes:
        spec: of the pose network.
        lookahead: frames that the results are behind.
        confidences: (N,) of the people last returned, the expected share of joints within 150 mm.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], spec: PoseSpec, lookahead: int = 0) -> None:
        """Start without people.

        Args:
            arrays: of `temporal.npz`.
            spec: of the pose network.
            lookahead: one of LOOKAHEADS; more frames give calmer poses, later.

        Raises PoseError for another lookahead, and ValueError for arrays that do not fit `spec`.
        """
        if lookahead not in LOOKAHEADS:
            known = ", ".join(map(str, LOOKAHEADS))
            raise PoseError(f"--lookahead must be one of {known} frames, got {lookahead}")
        self.spec, self.lookahead = spec, lookahead
        self.confidences = np.zeros(0, np.float32)
        self._keypoints = keypoint_count(spec)
        of = filtered(spec, self._keypoints)
        self._network = CausalNetwork(temporal_weights(arrays, spec), of, lookahead)
        self._numbers: List[int] = []  # of the network's columns
        self._rows: Optional[np.ndarray] = None  # packed records of the same people
        self._seconds: Optional[float] = None
        self._pending: Deque[_Pending] = deque()

    def update(
        self,
        people: PoseFrame,
        numbers: Sequence[int],
        seconds: float,
        *,
        evidence: Evidence,
        lost: Sequence[int] = (),
    ) -> PoseFrame:
        """Return the people of a picture, corrected, then lost people, predicted.

        With a lookahead of N, returns the people of the call N updates earlier, and no one at the first N.
        People in neither `numbers` nor `lost` are forgotten.

        Args:
            people: of the picture.
            numbers: (N,) of its people, each once.
            seconds: time of the picture.
            evidence: of the same people.
            lost: numbers of people without a detection in this picture, who were seen before.
        """
        given = [int(number) for number in numbers]
        known = set(self._numbers)
        missing = [int(number) for number in lost if int(number) in known]
        elapsed = 1 / USUAL_RATE if self._seconds is None else seconds - self._seconds
        self._seconds = seconds
        new = record_of(people, evidence, self._keypoints)
        before, now = self._advance(new.packed(), given, missing)
        seen = set(given)
        is_seen = np.array([number in seen for number in self._numbers], bool)
        steps = np.array([elapsed], np.float32)
        outputs = self._network(features(unpacked(now, new), unpacked(before, new), steps, is_seen))
        self._rows = now
        rows = [self._numbers.index(number) for number in given + missing]
        self._pending.append(_Pending(unpacked(now[np.array(rows, int)], new), given + missing))
        if len(self._pending) <= self.lookahead:
            self.confidences = np.zeros(0, np.float32)
            return no_people(self.spec)
        return self._corrected(self._pending.popleft(), outputs)

    def flush(self) -> List[PoseFrame]:
        """Return the people of the last pictures, which no later ones correct, and forget everyone."""
        ended = [self._corrected(pending, None) for pending in self._pending]
        self._pending.clear()
        self._network.keep(np.zeros(0, int))
        self._numbers, self._rows, self._seconds = [], None, None
        return ended

    def _advance(self, new: np.ndarray, given: List[int], missing: List[int]) -> "_Step":
        """Arrange the columns: continuing people, then new ones; return the packed records before and now."""
        rows = np.zeros((0, new.shape[1]), np.float32) if self._rows is None else self._rows
        staying = {*given, *missing}
        kept = [column for column, number in enumerate(self._numbers) if number in staying]
        if len(kept) < len(self._numbers):
            self._network.keep(np.array(kept, int))
            self._numbers = [self._numbers[column] for column in kept]
            rows = rows[np.array(kept, int)]
        first = [row for row, number in enumerate(given) if number not in self._numbers]
        if first:
            self._network.add(len(first))
            self._numbers = self._numbers + [given[row] for row in first]
        before = np.concatenate([rows, new[np.array(first, int)]])
        now = before.copy()
        now[np.array([self._numbers.index(number) for number in given], int)] = new
        return _Step(before, now)

    def _corrected(self, pending: _Pending, outputs: Optional[np.ndarray]) -> PoseFrame:
        """Return pending people with their corrections; people who have left since then stay as they are."""
        record, numbers = pending
        rows = np.zeros((len(numbers), output_size(self.spec)), np.float32)
        if outputs is not None:
            columns = {number: column for column, number in enumerate(self._numbers)}
            here = [row for row, number in enumerate(numbers) if number in columns]
            rows[here] = outputs[np.array([columns[numbers[row]] for row in here], int)]
        with np.errstate(all="ignore"):
            if not math.isfinite(rows.sum()):
                rows[~np.isfinite(rows.sum(axis=1))] = 0
            change = correction_of(rows, self.spec)
            found = corrected(record, change, self.spec)
        self.confidences = change.confidences
        return found


class _Step(NamedTuple):
    """Packed records (N, R) of the same people, before and after a picture."""

    before: np.ndarray
    now: np.ndarray
