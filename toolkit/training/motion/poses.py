"""Pose variation for rendering: sitting, crouching, bending and kneeling, other arms, a turned head.

All functions edit the turns (see `retarget.py`) of one frame in place. Body axes: x to the person's left, y
to the back, z up.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .clips import Clips
from .retarget import SIDES, neutral_places
from .stances import STANCES, change_stance
from .turns import about, descendants, joint_index, turn_to


def borrow_arms(motion: Clips, turns: np.ndarray, other: np.ndarray, *, sides: Sequence[str] = SIDES) -> None:
    """Copy the arms of another frame (J, 3, 3) of the same skeleton, relative to the chest."""
    chest = joint_index(motion, "chest")
    for side in sides:
        arm = descendants(motion.parents, joint_index(motion, "Collar", side))
        turns[arm] = turns[chest] @ other[chest].T @ other[arm]


def random_arm(motion: Clips, turns: np.ndarray, rng: np.random.Generator, *, side: str) -> None:
    """Set an arm to a random pose: the upper arm within reach, the forearm not behind the back."""
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
        others: (F, J, 3, 3) frames to copy arms from.
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
