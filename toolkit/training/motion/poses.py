"""Pose variation for rendering: sitting, crouching, bending and kneeling, other arms, a turned head.

All functions edit the turns (see `retarget.py`) of one frame in place. Body axes: x to the person's left, y to the
back, z up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .clips import Clips
from .retarget import SIDES, neutral_places

STANCES = ("sit", "crouch", "bend", "kneel")
# Joint names of each skeleton by body part; the side replaces the braces.
_CMU_JOINTS = {
    "hips": "Hips",
    "chest": "Spine",
    "neck": "Neck",
    "UpLeg": "{}UpLeg",
    "Leg": "{}Leg",
    "Foot": "{}Foot",
    "Collar": "{}Shoulder",
    "Arm": "{}Arm",
    "ForeArm": "{}ForeArm",
    "Hand": "{}Hand",
}
_DEEPMIMIC_JOINTS = {
    "hips": "root",
    "chest": "chest",
    "neck": "neck",
    "UpLeg": "{}_hip",
    "Leg": "{}_knee",
    "Foot": "{}_ankle",
    "Collar": "{}_shoulder",
    "Arm": "{}_shoulder",
    "ForeArm": "{}_elbow",
    "Hand": "{}_wrist",
}
_JOINTS = {"cmu": _CMU_JOINTS, "deepmimic": _DEEPMIMIC_JOINTS}
# Minimum vertical component of the hips' up axis for a new stance.
UPRIGHT_COSINE = 0.85


def about(axis: str, degrees: float) -> np.ndarray:
    """Return the rotation (3, 3) by an angle about a coordinate axis, "x", "y" or "z"."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rows = {
        "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
        "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    return np.array(rows[axis], np.float64)


def joint_index(motion: Clips, part: str, side: str = "") -> int:
    """Return the index of the joint where a body part begins.

    Args:
        motion: the clips, for their skeleton.
        part: hips, chest or neck; with a side also UpLeg, Leg, Foot, Collar, Arm, ForeArm or Hand.
        side: "Left" or "Right".
    """
    name = _JOINTS[motion.kind][part].format(side if motion.kind == "cmu" else side.lower())
    return list(motion.joint_names).index(name)


def descendants(parents: Sequence[int], joint: int) -> list[int]:
    """Return a joint and all joints below it; parents come before their children."""
    below = {joint}
    for child in range(joint + 1, len(parents)):
        if parents[child] in below:
            below.add(child)
    return sorted(below)


def turn_to(motion: Clips, turns: np.ndarray, joint: int, *, target: np.ndarray) -> None:
    """Set the turn of a joint to `target` (3, 3); all joints below it follow rigidly."""
    below = descendants(motion.parents, joint)
    turns[below] = (target @ turns[joint].T) @ turns[below]


def heading(turn: np.ndarray) -> np.ndarray:
    """Return the rotation about the vertical axis with the same heading as a turn (3, 3)."""
    front = turn @ [0.0, -1.0, 0.0]
    return about("z", np.degrees(np.arctan2(front[0], -front[1])))


def _lean(motion: Clips, turns: np.ndarray, degrees: float) -> None:
    hips, chest = joint_index(motion, "hips"), joint_index(motion, "chest")
    facing = heading(turns[hips])
    turn_to(motion, turns, hips, target=facing @ about("x", 0.6 * degrees))
    turn_to(motion, turns, chest, target=facing @ about("x", degrees) @ facing.T @ turns[chest])


def _leg(
    motion: Clips, turns: np.ndarray, side: str, *, thigh: float, shank: float, spread: float, flat: bool = True
) -> None:
    """Set a leg by angles from the vertical, degrees: thigh forwards, shank backwards, spread outwards."""
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
    draw = rng.uniform
    if stance == "sit":
        _lean(motion, turns, draw(-15, 30))
        thigh, shank, spread = draw(72, 100), draw(-25, 25), draw(0, 25)
        for side in SIDES:
            _leg(motion, turns, side, thigh=thigh + draw(-8, 8), shank=shank + draw(-20, 15), spread=spread + draw(-5, 10))
    elif stance == "crouch":
        thigh = draw(25, 115)
        _lean(motion, turns, draw(0.15, 0.5) * thigh)
        shank, spread = draw(0.2, 0.45) * thigh, draw(0, 35)
        for side in SIDES:
            _leg(motion, turns, side, thigh=thigh + draw(-12, 12), shank=shank + draw(-8, 8), spread=spread + draw(-5, 10))
    elif stance == "bend":
        _lean(motion, turns, draw(25, 95))
        for side in SIDES:
            thigh = draw(-8, 25)
            _leg(motion, turns, side, thigh=thigh, shank=draw(0, 15) - min(thigh, 0.0), spread=draw(0, 15))
    elif stance == "kneel":
        _lean(motion, turns, draw(-8, 30))
        down = SIDES[rng.integers(2)]
        both = draw() < 0.35
        for side in SIDES:
            if side == down or both:
                _leg(motion, turns, side, thigh=draw(-10, 15), shank=draw(80, 92), spread=draw(0, 15), flat=False)
            else:
                _leg(motion, turns, side, thigh=draw(75, 100), shank=draw(-10, 20), spread=draw(0, 20))
    else:
        raise ValueError(f"no stance '{stance}'; known: {', '.join(STANCES)}")
    return True


def borrow_arms(motion: Clips, turns: np.ndarray, other: np.ndarray, *, sides: Sequence[str] = SIDES) -> None:
    """Copy the arms of another frame (J, 3, 3) of the same skeleton, relative to the chest."""
    chest = joint_index(motion, "chest")
    for side in sides:
        arm = descendants(motion.parents, joint_index(motion, "Collar", side))
        turns[arm] = turns[chest] @ other[chest].T @ other[arm]


def random_arm(motion: Clips, turns: np.ndarray, rng: np.random.Generator, *, side: str) -> None:
    """Draw a direction of the upper arm within reach of the shoulder and an elbow bend in front of the back."""
    chest = turns[joint_index(motion, "chest")]
    arm, elbow = joint_index(motion, "Arm", side), joint_index(motion, "ForeArm", side)
    places = neutral_places(motion)
    neutral = (places[elbow] - places[arm]) / np.linalg.norm(places[elbow] - places[arm])
    outward = 1.0 if side == "Left" else -1.0
    while True:
        upper = rng.normal((0.6 * outward, -0.5, -0.3), 1)
        upper /= np.linalg.norm(upper)
        # A shoulder does not reach far across the chest or behind the back.
        if upper[0] * outward > -0.35 and upper[1] < 0.45 and upper @ neutral > -0.95:
            break
    while True:
        bend = np.radians(rng.uniform(0, 135))
        hinged = _hinge_frame(upper, rng.normal((-0.4 * outward, -0.8, 0.4), 1))
        fore = np.cos(bend) * hinged[:, 0] + np.sin(bend) * hinged[:, 1]
        if fore[1] < 0.5:
            break
    # The elbow of the neutral stance bends forwards, or upwards where the neutral arm points forwards.
    neutral_bend = np.array([0.0, -1.0, 0.0]) if abs(neutral[1]) < 0.9 else np.array([0.0, 0.0, 1.0])
    resting = _hinge_frame(neutral, neutral_bend)
    turn_to(motion, turns, arm, target=chest @ hinged @ resting.T)
    turn_to(motion, turns, elbow, target=chest @ _hinge_frame(fore, np.cross(hinged[:, 2], fore)) @ resting.T)


def _hinge_frame(along: np.ndarray, bends: np.ndarray) -> np.ndarray:
    """Return columns (3, 3): the unit vector `along`, `bends` made orthogonal to it, and the hinge axis."""
    bends = bends - (bends @ along) * along
    bends = bends / np.linalg.norm(bends)
    return np.stack([along, bends, np.cross(along, bends)], -1)


def turn_head(motion: Clips, turns: np.ndarray, rng: np.random.Generator) -> None:
    """Turn the head by up to 60 degrees to a side and 20 to 25 up or down."""
    neck, chest = joint_index(motion, "neck"), turns[joint_index(motion, "chest")]
    yaw = about("z", float(np.clip(rng.normal(0, 28), -60, 60)))
    pitch = about("x", float(np.clip(rng.normal(4, 9), -20, 25)))
    extra = yaw @ pitch
    turn_to(motion, turns, neck, target=chest @ extra @ chest.T @ turns[neck])


def vary(
    motion: Clips, turns: np.ndarray, rng: np.random.Generator, *, others: np.ndarray, changed: float = 0.25
) -> str:
    """Vary a pose: a new stance, other arms or a turned head.

    Args:
        motion: the clips, for their skeleton.
        turns: (J, 3, 3), edited in place.
        rng: the only source of randomness.
        others: (F, J, 3, 3) frames whose arms may be copied.
        changed: probability of one of STANCES; a pose with tilted hips keeps its own.

    Returns:
        The new stance, or "" where the pose keeps its own.
    """
    stance = str(rng.choice(STANCES, p=[0.4, 0.3, 0.15, 0.15])) if rng.random() < changed else ""
    if stance and not change_stance(motion, turns, rng, stance=stance):
        stance = ""
    draw = rng.random()
    if draw < 0.2:
        borrow_arms(motion, turns, others[rng.integers(len(others))])
    elif draw < 0.38:
        for side in SIDES:
            if rng.random() < 0.75:
                random_arm(motion, turns, rng, side=side)
    if rng.random() < 0.4:
        turn_head(motion, turns, rng)
    return stance
