"""Drift of a compiled network: people lost and invented, joint distances, and the worst head."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..runtime.errors import PosecError
from ..runtime.pose import PoseFrame, Skeleton
from .comparison.drift_parts import DriftData, DriftSummary, Moved, Stray, Unsteadiness
from .comparison.moved import farthest
from .matching import match_frames

LIMITS = ("drift_mm", "people_lost", "people_invented")
RATIO_LIMIT = "drift_ratio"  # optional, see `Drift.drift_ratio`
NO_LIMITS = dict.fromkeys(LIMITS, math.inf)


@dataclass(frozen=True)
class Drift:
    """Drift of a compiled network from the float one; True within the limits of `allowed`.

    Attributes:
        frames: pictures compared.
        people: number of people that the float network found; fractions are of these.
        lost: people that only the float network found.
        invented: people that only the compiled network found.
        drift_mm: mean distance of joints, pelvis-relative, over matched people; NaN without matches.
        drift_p50_mm, drift_p95_mm, drift_max_mm: median, 95th percentile and maximum over people.
        centre_shift_px: mean shift of the centres in picture pixels.
        root_drift_mm: mean distance of the pelvis in the camera frame.
        blame: head → drift with that head in float; empty without float heads.
        allowed: limits by name (LIMITS, and perhaps RATIO_LIMIT); fractions for people.
        people_mm: the drift of every matched person.
        moved: the people who moved farthest.
        unsteadiness: of the float network on the same pictures; None if it was not measured.
        data: the pictures; None where they have no name.
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
    people_mm: tuple[float, ...] = ()
    moved: tuple[Moved, ...] = ()
    unsteadiness: Unsteadiness | None = None
    data: DriftData | None = None

    @property
    def drift_ratio(self) -> float:
        """The drift over the float network's own unsteadiness; NaN if that was not measured, or is zero."""
        own = self.unsteadiness
        return self.drift_mm / own.drift_mm if own and own.drift_mm > 0 else math.nan

    @property
    def people_lost(self) -> float:
        """Fraction of the float network's people."""
        return len(self.lost) / self.people

    @property
    def people_invented(self) -> float:
        """People that only the compiled network found, as a fraction of the float network's people."""
        return len(self.invented) / self.people

    @property
    def missed(self) -> tuple[str, ...]:
        """Names of the limits exceeded; a drift that cannot be measured exceeds its limit."""
        return tuple(name for name in self.allowed if not getattr(self, name) <= self.limit(name))

    def limit(self, name: str) -> float:
        """Return a limit; one on the ratio also allows that many times the lost and invented people."""
        own, ratio = self.unsteadiness, self.allowed.get(RATIO_LIMIT)
        if own is None or ratio is None or not name.startswith("people"):
            return self.allowed[name]
        return max(self.allowed[name], ratio * float(getattr(own, name)))

    @property
    def enough(self) -> dict[str, float]:
        """The smallest limits that would pass, rounded up to a tenth of a millimetre and of a percent."""
        return {
            "drift_mm": math.ceil(10 * self.drift_mm) / 10 if math.isfinite(self.drift_mm) else math.inf,
            "people_lost": math.ceil(1000 * self.people_lost - 1e-9) / 1000,
            "people_invented": math.ceil(1000 * self.people_invented - 1e-9) / 1000,
            **(
                {RATIO_LIMIT: math.ceil(100 * self.drift_ratio) / 100}
                if math.isfinite(self.drift_ratio)
                else {}
            ),
        }

    @property
    def worst_head(self) -> str:
        """Name of the head that in float leaves the least drift; empty without `blame`."""
        return min(self.blame, key=lambda name: _severity(self.blame[name]), default="")

    def __bool__(self) -> bool:
        return not self.missed

    def __str__(self) -> str:
        lost, invented = (
            f"{100 * getattr(self, name):.1f} % of people {word} (allowed {100 * self.limit(name):.3g})"
            for name, word in (("people_lost", "lost"), ("people_invented", "invented"))
        )
        drift = f"{self.drift_mm:.1f} mm drift ({self._drift_limit()})"
        where = f" of {self.data.source}" if self.data else ""
        text = f"{drift}, {lost}, {invented}; {self.people} people on {self.frames} frames{where}"
        if self.unsteadiness:
            own = self.unsteadiness
            moves = f"moves by {own.drift_mm:.1f} mm on these pictures {own.perturbation}"
            text += f"; the float network itself {moves}"
        if self.missed:
            text += "; enough would be " + ", ".join(
                f"{name} = {self.enough.get(name, math.inf):g}" for name in self.missed
            )
        for word, strays in (("lost", self.lost), ("invented", self.invented)):
            if f"people_{word}" in self.missed:
                scores = [stray.score for stray in strays]
                tallest_px = max(stray.height_px for stray in strays)
                text += f"; {word} people scored {min(scores):.2f} to {max(scores):.2f}"
                text += f", the tallest {tallest_px:.0f} px"
        if self.missed and self.worst_head:
            without = self.blame[self.worst_head]
            rest = f"{without.drift_mm:.1f} mm, {100 * without.people_lost:.1f} % lost"
            text += f"; worst head '{self.worst_head}': with it in float {rest}"
        return text

    def _drift_limit(self) -> str:
        """Return the limit of the drift in words: millimetres, or times the unsteadiness."""
        if RATIO_LIMIT in self.allowed:
            ratio = (
                f"{self.drift_ratio:.2f} times" if math.isfinite(self.drift_ratio) else "not measured against"
            )
            return f"{ratio} the network's own unsteadiness, allowed {self.allowed[RATIO_LIMIT]:g}"
        return f"allowed {self.allowed['drift_mm']:g}"

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
            drift_ratio=self.drift_ratio,
        )
        return dict(_finite(plain))


def ratio_limits(allowed: Mapping[str, float], ratio: float | None) -> Mapping[str, float]:
    """Return limits with one of `drift_ratio` in place of millimetres; None for `ratio` changes nothing."""
    return allowed if ratio is None else {**allowed, "drift_mm": math.inf, RATIO_LIMIT: ratio}


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

    Raises PosecError if the float network found no people.
    """
    found, truth = list(compiled), list(floating)
    if len(found) != len(truth):
        raise PosecError(
            f"compiled people of {len(found)} frames against float people of {len(truth)}; "
            "compare the same frames"
        )
    people, frames = sum(len(expected) for expected in truth), len(truth)
    matched = match_frames(found, truth, skeleton)
    if people == 0:
        also = f" (the compiled network found {len(matched.invented)})" if matched.invented else ""
        raise PosecError(
            f"the float network found no people on {frames} frames{also}: there is nothing to judge by; "
            "give frames with people in them"
        )
    drifts_mm = matched.drifts_mm
    return Drift(
        frames=frames,
        people=people,
        lost=tuple(matched.lost),
        invented=tuple(matched.invented),
        drift_mm=float(np.mean(drifts_mm)) if drifts_mm else math.nan,
        drift_p50_mm=float(np.median(drifts_mm)) if drifts_mm else math.nan,
        drift_p95_mm=float(np.percentile(drifts_mm, 95)) if drifts_mm else math.nan,
        drift_max_mm=float(np.max(drifts_mm)) if drifts_mm else math.nan,
        centre_shift_px=float(np.mean(matched.shifts_px)) if drifts_mm else math.nan,
        root_drift_mm=float(np.mean(matched.roots_mm)) if drifts_mm else math.nan,
        allowed={name: float(allowed[name]) for name in (*LIMITS, *({RATIO_LIMIT} & set(allowed)))},
        blame=blame or {},
        people_mm=tuple(round(mm, 2) for mm in drifts_mm),
        moved=farthest(matched.moved),
    )


def _severity(drift: DriftSummary) -> float:
    """Return millimetres plus the percentages of people lost and invented; infinite if not measured."""
    return (
        drift.drift_mm + 100 * (drift.people_lost + drift.people_invented)
        if math.isfinite(drift.drift_mm)
        else math.inf
    )


def _finite(value: Any) -> Any:
    """Return nested lists and dictionaries with None for numbers that are not finite."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
