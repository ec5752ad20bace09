"""Accuracy by picture, as result files store it, so that results of different runs are compared in pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .intervals import NO_DIFFERENCE, Bootstrap, Ratio, Subset, compare, rows_of
from .photos import Photos
from .scene_file import Scenes

BY_PICTURE = "by_picture"
_DIGITS = 6


class Difference(NamedTuple):
    """The difference of a figure between two rows, and its paired 95 % interval.

    `low` and `high` are None where the rows are not of the same pictures, or of fewer than two. `figure` is
    the name of the figure.
    """

    value: float
    low: float | None = None
    high: float | None = None
    figure: str = ""

    def scaled(self, scale: float, figure: str) -> Difference:
        """Return the difference in another unit."""
        low, high = (None if bound is None else scale * bound for bound in self[1:3])
        return Difference(scale * self.value, low, high, figure)

    def to_dict(self) -> dict[str, Any]:
        """Return value, bounds and finding for JSON."""
        return {**self._asdict(), "finding": NO_DIFFERENCE if self.is_open else ""}

    def __str__(self) -> str:
        """The difference with its interval, and the finding."""
        text = f"{self.value:.1f} points of {self.figure}" if self.figure else f"{self.value:.1f}"
        if self.low is None or self.high is None:
            return text
        finding = f", {NO_DIFFERENCE}" if self.is_open else ""
        return f"{text} ({self.low:.1f} to {self.high:.1f}){finding}"

    @property
    def is_open(self) -> bool:
        """Whether the interval holds 0: these data show no difference."""
        return self.low is not None and self.high is not None and self.low <= 0 <= self.high


def rows_by_picture(
    judged: Sequence[Subset], pictures: Photos | Scenes, bootstrap: Bootstrap | None = None
) -> list[dict[str, Any]]:
    """Return `rows_of`; the first row, of all pictures, also has BY_PICTURE.

    It holds `pictures`, see `identity_of`, and `measures`: name → `scale`, `above` and `below`, see `Ratio`.
    """
    rows = rows_of(judged, bootstrap)
    measures = {
        name: {
            "scale": measure.scale,
            "above": np.round(measure.above, _DIGITS).tolist(),
            "below": np.round(measure.below, _DIGITS).tolist(),
        }
        for name, measure in judged[0].measures.items()
        if isinstance(measure, Ratio)
    }
    rows[0][BY_PICTURE] = {"pictures": identity_of(pictures), "measures": measures}
    return rows


def identity_of(pictures: Photos | Scenes) -> str:
    """Return the SHA-256 of the names and labels of all pictures, in their order."""
    labels: dict[str, list[np.ndarray]] = (
        {name: [person.joints for person in people] for name, people in pictures.people.items()}
        if isinstance(pictures, Photos)
        else {name: [each.people.joints_mm, each.visible] for name, each in pictures.scenes.items()}
    )
    digest = hashlib.sha256()
    for name, arrays in labels.items():
        digest.update(f"{name}\0{len(arrays)}\0".encode("utf-8", "replace"))
        for array in arrays:
            digest.update(np.ascontiguousarray(array, np.float64).tobytes())
    return digest.hexdigest()


def difference_of(mine: Mapping[str, Any], other: Mapping[str, Any], measure: str) -> Difference | None:
    """Return the difference of a measure, mine minus other, of two rows of one protocol and subset.

    None where a row lacks the measure.
    """
    values = mine.get(measure), other.get(measure)
    if values[0] is None or values[1] is None:
        return None
    parts = _stored(mine, measure), _stored(other, measure)
    if parts[0] is None or parts[1] is None or parts[0][0] != parts[1][0]:
        return Difference(float(values[0] - values[1]))
    subsets = [
        Subset(identity, "all", {}, {measure: ratio}, len(ratio.above))
        for identity, ratio in filter(None, parts)
    ]
    if subsets[0].pictures != subsets[1].pictures:
        return Difference(float(values[0] - values[1]))
    (found,) = compare(subsets[:1], subsets[1:]) or ({"low": None, "high": None},)
    return Difference(float(values[0] - values[1]), found["low"], found["high"])


def _stored(row: Mapping[str, Any], measure: str) -> tuple[str, Ratio] | None:
    """Return the identity of the pictures and a measure by picture; None where it is not stored."""
    stored = row.get(BY_PICTURE) or {"measures": {}}
    parts = stored["measures"].get(measure)
    if parts is None or len(parts["above"]) != len(parts["below"]):
        return None
    return stored["pictures"], Ratio(np.array(parts["above"]), np.array(parts["below"]), parts["scale"])
