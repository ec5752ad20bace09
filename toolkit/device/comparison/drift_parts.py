"""Parts of a drift: people without a match, people who moved far, the unsteadiness, the data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Stray:
    """A person that only one of two networks found."""

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
class Moved:
    """A person with joints that the compiled network moved far.

    Attributes:
        frame: index of the picture.
        height_px: of the box around the joints in the picture.
        drift_mm: mean distance of the joints, pelvis-relative.
        joint, joint_mm: the joint that moved most, and its distance.
        cause: see `moved.cause_of`.
    """

    frame: int
    height_px: float
    drift_mm: float
    joint: str
    joint_mm: float
    cause: str


@dataclass(frozen=True)
class Unsteadiness:
    """Drift of the float network from itself on slightly changed pictures; fields as in `Drift`."""

    drift_mm: float
    drift_p50_mm: float
    drift_p95_mm: float
    people_lost: float
    people_invented: float
    perturbation: str


RENDERED, USER, GOLDEN_PICTURES = "rendered", "user", "golden"


@dataclass(frozen=True)
class DriftData:
    """The pictures that a drift was measured on.

    Attributes:
        source: name of their folder or file.
        kind: RENDERED for posec's own scenes, USER for pictures of the user, GOLDEN_PICTURES where a bundle
            of an earlier version does not state which of the two its golden pictures are.
    """

    source: str
    kind: str
