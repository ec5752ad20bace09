"""Drift: people lost and invented by a compiled network, millimetres, and the head that causes most of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..runtime.errors import PosecError
from ..runtime.pose import PoseFrame, Skeleton
from .matching import heights_px, match_people

LIMITS = ("drift_mm", "people_lost", "people_invented")


@dataclass(frozen=True)
class Stray:
    """A person that only one of two networks found: picture, score, and height in the picture."""

    frame: int
    score: float
    height_px: float


@dataclass(frozen=True)
class DriftSummary:
    """Drift that remains with one head of the compiled network replaced by the float one."""

    drift_mm: float
    people_lost: float
    people_invented: float


@dataclass(frozen=True)
class Drift:
    """Drift of a compiled network from the float one, in pose units. True within the limits of `allowed`.

    Attributes:
        frames: pictures compared.
        people: number of people that the float network found; fractions are of these.
        lost, invented: people that only the float, only the compiled network found.
        drift_mm: mean distance of joints, pelvis-relative, over matched people; NaN without matches.
        drift_p50_mm, drift_p95_mm, drift_max_mm: the same for the median, the 95th percentile and the worst
            person.
        centre_shift_px: mean shift of the centres in picture pixels.
        root_drift_mm: mean distance of the pelvis in the camera frame.
        blame: head → drift without its rounding; empty without float heads.
        allowed: limits by name (LIMITS); fractions for people.
    """

    frames: int
    people: int
    lost: tuple[Stray, ...]
    invented: tuple[Stray, ...]
    drift_mm: float
    drift_p50_mm: float
    drift_p95_mm: float
    drift_max_mm: float
    centre_shift_px: float
    root_drift_mm: float
    allowed: Mapping[str, float]
    blame: Mapping[str, DriftSummary] = field(default_factory=dict)

    @property
    def people_lost(self) -> float:
        """Fraction of the float network's people."""
        return len(self.lost) / self.people

    @property
    def people_invented(self) -> float:
        """People that the float network did not find, as a fraction of those it found."""
        return len(self.invented) / self.people

    @property
    def missed(self) -> tuple[str, ...]:
        """Names of the limits exceeded; a drift that cannot be measured exceeds its limit."""
        return tuple(name for name in LIMITS if not getattr(self, name) <= self.allowed[name])

    @property
    def enough(self) -> dict[str, float]:
        """The smallest limits that would pass, rounded up to a tenth of a millimetre and of a percent."""
        return {
            "drift_mm": math.ceil(10 * self.drift_mm) / 10 if math.isfinite(self.drift_mm) else math.inf,
            "people_lost": math.ceil(1000 * self.people_lost - 1e-9) / 1000,
            "people_invented": math.ceil(1000 * self.people_invented - 1e-9) / 1000,
        }

    @property
    def worst_head(self) -> str:
        """Name of the head whose float version leaves the least drift; empty without `blame`."""
        return min(self.blame, key=lambda name: _severity(self.blame[name]), default="")

    def __bool__(self) -> bool:
        return not self.missed

    def __str__(self) -> str:
        lost, invented = (
            f"{100 * getattr(self, name):.1f} % of people {word} (allowed {100 * self.allowed[name]:g})"
            for name, word in (("people_lost", "lost"), ("people_invented", "invented"))
        )
        drift = f"{self.drift_mm:.1f} mm drift (allowed {self.allowed['drift_mm']:g})"
        text = f"{drift}, {lost}, {invented}; {self.people} people on {self.frames} frames"
        if self.missed:
            text += "; enough would be " + ", ".join(
                f"{name} = {self.enough[name]:g}" for name in self.missed
            )
        for word, strays in (("lost", self.lost), ("invented", self.invented)):
            if f"people_{word}" in self.missed:
                scores = [stray.score for stray in strays]
                tallest_px = max(stray.height_px for stray in strays)
                text += f"; {word} people scored {min(scores):.2f} to {max(scores):.2f}"
                text += f", the tallest {tallest_px:.0f} px"
        if self.missed and self.worst_head:
            repair = self.blame[self.worst_head]
            rest = f"{repair.drift_mm:.1f} mm, {100 * repair.people_lost:.1f} % lost"
            text += f"; worst head '{self.worst_head}': with it in float {rest}"
        return text

    def to_dict(self) -> dict[str, Any]:
        """Return lists, numbers and strings for a JSON file; None for a number that is not finite."""
        plain = asdict(self)
        plain.update(
            people_lost=self.people_lost,
            people_invented=self.people_invented,
            within=bool(self),
            missed=list(self.missed),
            enough=self.enough,
            worst_head=self.worst_head,
        )
        return dict(_finite(plain))


def measure_drift(
    compiled: Iterable[PoseFrame],
    floating: Iterable[PoseFrame],
    skeleton: Skeleton,
    *,
    allowed: Mapping[str, float],
    blame: Mapping[str, DriftSummary] | None = None,
) -> Drift:
    """Return the drift between the people that two networks found on the same pictures.

    Args:
        compiled, floating: the people, picture by picture, in the same order.
        skeleton: of both.
        allowed: limit name → largest value.
        blame: see Drift.

    Raises PosecError where the float network found no people: there is nothing to judge by.
    """
    lost: list[Stray] = []
    invented: list[Stray] = []
    drifts, shifts, roots = [], [], []
    frames = people = 0
    found, truth = list(compiled), list(floating)
    if len(found) != len(truth):
        raise PosecError(
            f"compiled people of {len(found)} frames against float people of {len(truth)}; "
            "compare the same frames"
        )
    for mine, theirs in ((found[i], truth[i]) for i in range(len(truth))):
        pairs = match_people(mine, theirs, skeleton)
        lost += _strays(frames, theirs, {pair[1] for pair in pairs})
        invented += _strays(frames, mine, {pair[0] for pair in pairs})
        for a, b in pairs:
            drifts.append(float(np.linalg.norm(mine.joints_mm[a] - theirs.joints_mm[b], axis=1).mean()))
            shifts.append(float(np.linalg.norm(mine.centres_px[a] - theirs.centres_px[b])))
            roots.append(float(np.linalg.norm(mine.roots_mm[a] - theirs.roots_mm[b])))
        frames += 1
        people += len(theirs)
    if people == 0:
        also = f" (the compiled network found {len(invented)})" if invented else ""
        raise PosecError(
            f"the float network found no people on {frames} frames{also}: there is nothing to judge by; "
            "give frames with people in them"
        )
    mean, median, p95, most = (
        float(of(drifts)) if drifts else math.nan
        for of in (np.mean, np.median, lambda values: np.percentile(values, 95), np.max)
    )
    shift, root = (float(np.mean(values)) if values else math.nan for values in (shifts, roots))
    return Drift(
        frames,
        people,
        tuple(lost),
        tuple(invented),
        mean,
        median,
        p95,
        most,
        shift,
        root,
        {name: float(allowed[name]) for name in LIMITS},
        blame or {},
    )


def _strays(frame: int, people: PoseFrame, matched: set[int]) -> list[Stray]:
    heights = heights_px(people)
    return [
        Stray(frame, float(people.scores[i]), float(heights[i]))
        for i in range(len(people))
        if i not in matched
    ]


def _severity(repair: DriftSummary) -> float:
    """Return millimetres plus the percentages of people lost and invented; infinite where not measured."""
    return (
        repair.drift_mm + 100 * (repair.people_lost + repair.people_invented)
        if math.isfinite(repair.drift_mm)
        else math.inf
    )


def _finite(value: Any) -> Any:
    """Return nested lists and dictionaries with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
