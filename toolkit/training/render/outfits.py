"""Clothes, skin and hair of a rendered person, in coordinates of the body surface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .bodies import ARM, HAND, HEAD, Surface

# Centres of the left eye and of the mouth, rest pose of the average body, view axes, metres.
EYE_M = np.array([0.030, -0.699, -0.130])
MOUTH_M = np.array([0.0, -0.634, -0.136])
# Just above the ankles, in the units of Surface.trunk.
SHOE_TOP = -1.93
# BGR, light to dark.
SKINS = np.array(
    [
        [165, 185, 222],
        [150, 175, 215],
        [130, 160, 208],
        [105, 145, 200],
        [80, 115, 170],
        [60, 85, 135],
        [42, 60, 100],
    ],
    np.float64,
)
HAIRS = np.array(
    [[25, 28, 35], [30, 45, 70], [45, 75, 115], [95, 150, 190], [170, 180, 185], [35, 52, 100]], np.float64
)
MUTED = np.array(
    [
        [35, 32, 30],
        [70, 65, 60],
        [140, 138, 135],
        [225, 225, 222],
        [95, 60, 35],
        [60, 75, 95],
        [130, 155, 175],
    ],
    np.float64,
)


@dataclass(frozen=True)
class Cloth:
    """A colour, and a second colour where a pattern of the rest position selects it."""

    colours: np.ndarray
    kind: str
    waves: np.ndarray
    phases: np.ndarray
    threshold: float

    def colour_at(self, rest: np.ndarray) -> np.ndarray:
        """Return BGR (P, 3) at rest positions (P, 3) in metres."""
        if self.kind == "plain":
            # Without mottling, large plain areas look like plastic.
            mottling = np.sin(rest @ self.waves.T * 3 + self.phases).mean(1, keepdims=True)
            return self.colours[0] * (1 + 0.05 * mottling)
        wave = np.sin(rest @ self.waves.T + self.phases)
        if self.kind == "print":
            chest = (np.abs(rest[:, 0]) < 0.11) & (rest[:, 2] < 0) & (np.abs(rest[:, 1] + 0.42) < 0.1)
            on = chest & (wave.mean(1) > self.threshold - 0.3)
        elif self.kind == "checks":
            on = (wave[:, 0] > self.threshold) ^ (wave[:, 1] > self.threshold)
        elif self.kind == "stripes":
            on = wave[:, 0] > self.threshold
        else:
            on = wave.mean(1) > 0.25 * self.threshold
        return np.where(on[:, None], self.colours[1], self.colours[0])


@dataclass(frozen=True)
class Outfit:
    """The appearance of one person; lengths in the units of Surface.arm and .trunk, thicknesses in metres."""

    skin: np.ndarray
    hair: np.ndarray
    hair_line: float
    hair_thickness: float
    top: Cloth
    bottom: Cloth
    shoes: np.ndarray
    sole: np.ndarray
    sleeve: float
    neckline: float
    top_hem: float
    bottom_hem: float
    bottom_waist: float
    top_thickness: float
    bottom_thickness: float


def random_colour(rng: np.random.Generator) -> np.ndarray:
    """Return a random BGR colour of clothes, often muted."""
    if rng.random() < 0.45:
        return np.clip(MUTED[rng.integers(len(MUTED))] * rng.uniform(0.8, 1.15) + rng.normal(0, 8, 3), 8, 245)
    grey, spread = rng.uniform(40, 200), rng.uniform(10, 75)
    return np.clip(grey + spread * rng.normal(0, 1, 3), 8, 245)


def random_cloth(rng: np.random.Generator, allow_print: bool = True) -> Cloth:
    """Return a random plain or patterned cloth."""
    kinds = ["plain", "stripes", "checks", "blotches"] + ["print"] * allow_print
    weights = np.array([0.55, 0.15, 0.1, 0.08, 0.12][: len(kinds)])
    kind = kinds[rng.choice(len(kinds), p=weights / weights.sum())]
    if kind in ("stripes", "checks"):
        # Periods of 2 to 14 cm; stripes are nearly horizontal or vertical.
        pitch = 2 * np.pi / rng.uniform(0.02, 0.14)
        first = int(rng.integers(2))
        waves = pitch * (np.eye(3)[[1 - first, first, 2]] + rng.normal(0, 0.03, (3, 3)))
    else:
        waves = rng.normal(0, 1, (5, 3)) * rng.uniform(15, 60)
    return Cloth(
        np.stack([random_colour(rng), random_colour(rng)]),
        kind,
        waves,
        rng.uniform(0, 6.3, len(waves)),
        rng.uniform(-0.4, 0.5),
    )


def random_outfit(rng: np.random.Generator) -> Outfit:
    """Return random clothes, skin and hair of one person."""
    dress = rng.random() < 0.1
    bare_legs = rng.random() < 0.28
    return Outfit(
        skin=SKINS[rng.integers(len(SKINS))] * rng.uniform(0.9, 1.05),
        hair=HAIRS[rng.choice(len(HAIRS), p=[0.3, 0.27, 0.15, 0.12, 0.08, 0.08])] * rng.uniform(0.8, 1.2),
        hair_line=float(rng.choice([0.0, 0.5, 1.0, 2.0], p=[0.06, 0.3, 0.4, 0.24])),
        hair_thickness=rng.uniform(0.004, 0.03),
        top=random_cloth(rng),
        bottom=random_cloth(rng, allow_print=False)
        if rng.random() < 0.25
        else Cloth(random_colour(rng)[None], "plain", rng.normal(0, 20, (3, 3)), rng.uniform(0, 6, 3), 0.0),
        shoes=random_colour(rng) * rng.uniform(0.3, 1.0),
        sole=np.full(3, rng.choice([30.0, 210.0])),
        sleeve=float(rng.choice([rng.uniform(0.35, 0.8), rng.uniform(1.75, 2.0), 0.15], p=[0.5, 0.42, 0.08])),
        neckline=rng.uniform(0.95, 1.03),
        top_hem=rng.uniform(-1.1, -0.5) if dress else rng.uniform(-0.2, 0.16),
        bottom_hem=-rng.uniform(0.35, 1.05) if bare_legs or dress else -rng.uniform(1.75, 1.98),
        bottom_waist=0.22,
        top_thickness=rng.uniform(0.004, 0.022),
        bottom_thickness=rng.uniform(0.003, 0.02),
    )


class SurfacePoints(NamedTuple):
    """Points of a body's surface, (P,) each; see Surface for parts, arm and trunk."""

    parts: np.ndarray
    arm: np.ndarray
    trunk: np.ndarray
    hair: np.ndarray  # see `hair_at`


class Worn(NamedTuple):
    """Masks (P,) of clothes and hair at points of the surface; all other points are skin."""

    top: np.ndarray
    bottom: np.ndarray
    shoes: np.ndarray
    hair: np.ndarray


def worn(outfit: Outfit, points: SurfacePoints) -> Worn:
    """Return the clothes and the hair at points of the surface."""
    parts, arm, trunk, hair = points
    sleeves = (parts == ARM) | (parts == HAND) | (arm > 0.05)
    covered = (trunk > outfit.top_hem) & (trunk < outfit.neckline)
    top = np.where(sleeves, arm < outfit.sleeve, covered) & (parts != HEAD)
    bottom = ~top & ~sleeves & (trunk < outfit.bottom_waist) & (trunk > outfit.bottom_hem)
    shoes = ~top & ~bottom & ~sleeves & (trunk < SHOE_TOP)
    return Worn(top, bottom, shoes, (parts == HEAD) & (hair > 0))


def hair_at(outfit: Outfit, surface: Surface) -> np.ndarray:
    """Return the hair measure (V,), positive where the person has hair: bald, short, ears free, or long."""
    if outfit.hair_line == 0:
        return np.full(len(surface.parts), -1.0)
    head = surface.rest[surface.parts == HEAD]
    low, high = head.min(0), head.max(0)
    up = (high[1] - surface.rest[:, 1]) / (high[1] - low[1])
    back = (surface.rest[:, 2] - low[2]) / (high[2] - low[2])
    brow, fall = {0.5: (0.86, 0.45), 1.0: (0.82, 0.62), 2.0: (0.8, 1.0)}[outfit.hair_line]
    # The hairline is above the forehead at the front and descends towards the back.
    return up - (brow - fall * np.clip((back - 0.18) / 0.6, 0, 1))


def thickness(outfit: Outfit, surface: Surface) -> np.ndarray:
    """Return the thickness (V,) of cloth and hair at the vertices, metres."""
    hair = hair_at(outfit, surface)
    masks = worn(outfit, SurfacePoints(surface.parts, surface.arm, surface.trunk, hair))
    # Sleeves and legs are looser towards the hand and the foot.
    loose = 1 + 0.6 * np.clip(surface.arm, 0, 2) + 0.6 * np.clip(-surface.trunk, 0, 2)
    return (
        masks.top * outfit.top_thickness * loose
        + masks.bottom * outfit.bottom_thickness * loose
        + masks.shoes * 0.008
        + masks.hair * outfit.hair_thickness * np.clip(hair / 0.12, 0, 1)
    )


def albedo(outfit: Outfit, points: SurfacePoints, rest: np.ndarray) -> np.ndarray:
    """Return BGR (P, 3) at points of the surface with rest positions (P, 3) in metres."""
    masks = worn(outfit, points)
    colours = np.tile(outfit.skin, (len(rest), 1))
    for mask, cloth in ((masks.top, outfit.top), (masks.bottom, outfit.bottom)):
        colours[mask] = cloth.colour_at(rest[mask])
    floor = rest[masks.shoes, 1].max(initial=0)
    is_sole = (rest[masks.shoes, 1] > floor - 0.022)[:, None]
    colours[masks.shoes] = np.where(is_sole, outfit.sole, outfit.shoes)
    face = (points.parts == HEAD) & (rest[:, 2] < EYE_M[2] + 0.03)
    colours[face] = paint_face(colours[face], rest[face], outfit)
    strands = 1 + 0.08 * np.sin(rest[masks.hair] @ [210.0, 25.0, 160.0])
    colours[masks.hair] = outfit.hair * strands[:, None]
    return colours


def paint_face(skin: np.ndarray, rest: np.ndarray, outfit: Outfit) -> np.ndarray:
    """Return the colours (P, 3) of the face with eyes, brows and lips.

    Args:
        skin: (P, 3) BGR.
        rest: (P, 3) rest positions, metres.
        outfit: for the colour of the brows.
    """
    painted = skin.copy()
    aside, below = np.abs(rest[:, 0]) - EYE_M[0], rest[:, 1] - EYE_M[1]
    lid = 0.0065 * np.sqrt(np.clip(1 - (aside / 0.016) ** 2, 0, 1))
    painted[np.abs(below) < lid] = (205, 212, 218)
    painted[(np.abs(below) < lid) & (np.hypot(aside, below) < 0.0062)] = (35, 40, 50)
    brows = (np.abs(aside) < 0.02) & (np.abs(below + 0.0215 - 6 * aside**2) < 0.0035)
    # A bald person has dark brows too.
    painted[brows] = 0.7 * np.minimum(outfit.hair, 110)
    lips = (rest[:, 0] / 0.025) ** 2 + ((rest[:, 1] - MOUTH_M[1]) / 0.0095) ** 2 < 1
    painted[lips] *= (0.8, 0.72, 0.95)
    return painted
