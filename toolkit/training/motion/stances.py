"""New stances of a captured pose: sitting, crouching, bending and kneeling."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .clips import Clips
from .retarget import SIDES
from .turns import about, heading, joint_index, turn_to

STANCES = ("sit", "crouch", "bend", "kneel")
# Minimum vertical component of the hips' up axis for a new stance.
UPRIGHT_COSINE = 0.85


def _lean(motion: Clips, turns: np.ndarray, degrees: float) -> None:
    hips, chest = joint_index(motion, "hips"), joint_index(motion, "chest")
    facing = heading(turns[hips])
    turn_to(motion, turns, hips, target=facing @ about("x", 0.6 * degrees))
    turn_to(motion, turns, chest, target=facing @ about("x", degrees) @ facing.T @ turns[chest])


class LegAngles(NamedTuple):
    """Angles of a leg from the vertical, degrees: thigh forwards, shank backwards, spread outwards."""

    thigh: float
    shank: float
    spread: float


def _set_leg(motion: Clips, turns: np.ndarray, side: str, *, angles: LegAngles, flat: bool = True) -> None:
    """Set the angles of a leg; its foot is level with `flat`, else it points backwards."""
    thigh, shank, spread = angles
    facing = heading(turns[joint_index(motion, "hips")]) @ about("z", spread if side == "Left" else -spread)
    upper = facing @ about("x", -thigh)
    turn_to(motion, turns, joint_index(motion, "UpLeg", side), target=upper)
    turn_to(motion, turns, joint_index(motion, "Leg", side), target=upper @ about("x", thigh + shank))
    foot = facing if flat else facing @ about("x", min(shank, 70.0))
    turn_to(motion, turns, joint_index(motion, "Foot", side), target=foot)


def change_stance(motion: Clips, turns: np.ndarray, rng: np.random.Generator, *, stance: str) -> bool:
    """Bend hips and knees into one of STANCES.

    Returns False and changes nothing where the hips are far from upright.
    """
    hips = joint_index(motion, "hips")
    if turns[hips, 2, 2] < UPRIGHT_COSINE:
        return False
    if stance not in STANCES:
        raise ValueError(f"no stance '{stance}'; known: {', '.join(STANCES)}")
    {"sit": _sit, "crouch": _crouch, "bend": _bend, "kneel": _kneel}[stance](motion, turns, rng)
    return True


def _sit(motion: Clips, turns: np.ndarray, rng: np.random.Generator) -> None:
    draw = rng.uniform
    _lean(motion, turns, draw(-15, 30))
    thigh, shank, spread = draw(72, 100), draw(-25, 25), draw(0, 25)
    for side in SIDES:
        angles = LegAngles(thigh + draw(-8, 8), shank + draw(-20, 15), spread + draw(-5, 10))
        _set_leg(motion, turns, side, angles=angles)


def _crouch(motion: Clips, turns: np.ndarray, rng: np.random.Generator) -> None:
    draw = rng.uniform
    thigh = draw(25, 115)
    _lean(motion, turns, draw(0.15, 0.5) * thigh)
    shank, spread = draw(0.2, 0.45) * thigh, draw(0, 35)
    for side in SIDES:
        angles = LegAngles(thigh + draw(-12, 12), shank + draw(-8, 8), spread + draw(-5, 10))
        _set_leg(motion, turns, side, angles=angles)


def _bend(motion: Clips, turns: np.ndarray, rng: np.random.Generator) -> None:
    draw = rng.uniform
    _lean(motion, turns, draw(25, 95))
    for side in SIDES:
        thigh = draw(-8, 25)
        angles = LegAngles(thigh, draw(0, 15) - min(thigh, 0.0), draw(0, 15))
        _set_leg(motion, turns, side, angles=angles)


def _kneel(motion: Clips, turns: np.ndarray, rng: np.random.Generator) -> None:
    draw = rng.uniform
    _lean(motion, turns, draw(-8, 30))
    kneeling = SIDES[rng.integers(2)]
    both = draw() < 0.35
    for side in SIDES:
        if side == kneeling or both:
            angles = LegAngles(draw(-10, 15), draw(80, 92), draw(0, 15))
            _set_leg(motion, turns, side, angles=angles, flat=False)
        else:
            angles = LegAngles(draw(75, 100), draw(-10, 20), draw(0, 20))
            _set_leg(motion, turns, side, angles=angles)
