"""Random places for people: rooms, halls, streets, parks and studios with furniture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .materials import GROUNDS_INDOORS, WALLS, Material, fractal_noise, grass, pavement, random_material

KINDS = ("room", "street", "park", "studio", "hall")


@dataclass(frozen=True)
class Patch:
    """A rectangle on a plane, such as a door or a road marking; low and high are (u, v) in metres."""

    low: tuple[float, float]
    high: tuple[float, float]
    material: Material


@dataclass(frozen=True)
class Plane:
    """An axis-aligned plane: all points with coordinate `axis` equal to `offset` up to a height.

    Attributes:
        axis: 0, 1 or 2 for x, y or z.
        offset: metres.
        normal: +1 or -1, the direction along the axis towards the camera's side.
        material: of the plane.
        patches: rectangles on it; later ones cover earlier ones.
        top_m: height of its upper edge.
        ragged_m: amplitude of a wavy upper edge.
    """

    axis: int
    offset: float
    normal: int
    material: Material
    patches: tuple[Patch, ...] = ()
    top_m: float = np.inf
    ragged_m: float = 0.0


@dataclass(frozen=True)
class Place:
    """Planes around the camera and a sky behind them.

    Attributes:
        kind: of KINDS.
        planes: ground, walls and ceiling.
        sky: (3, 3) BGR at the horizon, at the zenith and of clouds.
        clouds: (256, 256) periodic noise.
        clear_m: free distance to the sides and ahead, where people may stand.
        indoors: whether the place is lit by lamps.
    """

    kind: str
    planes: tuple[Plane, ...]
    sky: np.ndarray
    clouds: np.ndarray
    clear_m: tuple[float, float]
    indoors: bool = False


def random_place(rng: np.random.Generator, kind: str | None = None) -> Place:
    """Return a random place of a kind of KINDS; None draws the kind too."""
    kind = kind or str(rng.choice(KINDS, p=[0.35, 0.25, 0.2, 0.1, 0.1]))
    sky = _sky(rng)
    clouds = fractal_noise(rng, 1.7)
    if kind in ("room", "hall"):
        planes, clear_m = _room(rng, large=kind == "hall")
    elif kind == "studio":
        planes, clear_m = _studio(rng), (6.0, 9.5)
    elif kind == "park":
        planes, clear_m = _park(rng), (8.0, 13.0)
    else:
        planes, clear_m = _street(rng), (5.0, 14.0)
    return Place(kind, planes, sky, clouds, clear_m, indoors=kind in ("room", "hall", "studio"))


def _room(rng: np.random.Generator, large: bool) -> tuple[tuple[Plane, ...], tuple[float, float]]:
    """Return floor, ceiling and walls, and the free distances to the sides and ahead."""
    half, deep, high = 12.0, 28.0, 7.0
    if not large:
        half, deep, high = rng.uniform(2.6, 5), rng.uniform(6, 10.5), rng.uniform(2.9, 3.6)
    floor = random_material(rng, GROUNDS_INDOORS)
    wall = random_material(rng, WALLS, (90, 230))
    side = wall if rng.random() < 0.7 else random_material(rng, WALLS, (90, 230))
    ceiling = random_material(rng, ("plain", "tiles"), (180, 240))
    planes = (
        Plane(1, 0.0, -1, floor),
        Plane(1, -high, 1, ceiling),
        Plane(2, deep, -1, wall, _wall_patches(rng, (-half, half), high)),
        Plane(0, -half, 1, side, _wall_patches(rng, (1.0, deep), high)),
        Plane(0, half, -1, side, _wall_patches(rng, (1.0, deep), high)),
    )
    return planes, (half - 0.5, deep - 0.6)


def _studio(rng: np.random.Generator) -> tuple[Plane, ...]:
    wall = ground = random_material(rng, ("plain",), (60, 235))
    if rng.random() >= 0.6:
        ground = random_material(rng, ("plain", "mottled", "planks"), (60, 200))
    return Plane(1, 0.0, -1, ground), Plane(2, rng.uniform(10, 14), -1, wall)


def _park(rng: np.random.Generator) -> tuple[Plane, ...]:
    ground = grass(rng) if rng.random() < 0.7 else pavement(rng, (110, 200))
    away, hedge_material = rng.uniform(14, 45), grass(rng)
    hedge = Plane(2, away, -1, hedge_material, top_m=rng.uniform(1.5, 7), ragged_m=rng.uniform(0.5, 3))
    path = Patch((rng.uniform(-6, -1), -50.0), (rng.uniform(0.5, 5), 200.0), pavement(rng, (110, 200)))
    return Plane(1, 0.0, -1, ground, (path,) * int(rng.random() < 0.6)), hedge


def _street(rng: np.random.Generator) -> tuple[Plane, ...]:
    road, left, right = pavement(rng, (55, 110)), -rng.uniform(5.5, 10), rng.uniform(5.5, 10)
    kerb = pavement(rng, (100, 180))
    white = random_material(rng, ("plain",), (200, 230))
    edge = rng.uniform(0.5, 3.0)
    marks = tuple(Patch((left + 2, k * 5.0), (left + 2.15, k * 5.0 + 2.2), white) for k in range(14))
    if rng.random() < 0.35:
        away = rng.uniform(4, 9)
        marks = tuple(Patch((left + k, away), (left + k + 0.5, away + 2.5), white) for k in range(16))
    pavement_patch = Patch((edge, -50.0), (right, 300.0), kerb)
    fronts = [random_material(rng, ("windows", "windows", "bricks", "plain"), (80, 215)) for _ in range(3)]
    return (
        Plane(1, 0.0, -1, road, (*marks, pavement_patch)),
        Plane(0, left, 1, fronts[0], top_m=rng.uniform(4, 16)),
        Plane(0, right, -1, fronts[1], top_m=rng.uniform(4, 16)),
        Plane(2, rng.uniform(18, 70), -1, fronts[2], top_m=rng.uniform(4, 14)),
    )


def _sky(rng: np.random.Generator) -> np.ndarray:
    """Return BGR (3, 3) at the horizon, at the zenith and of clouds."""
    blue = np.array([[225, 215, 200], [215, 165, 110], [240, 238, 235]], np.float64)
    grey = np.array([[215, 212, 208], [190, 185, 180], [228, 226, 224]], np.float64)
    mean = blue if rng.random() < 0.6 else grey
    return np.clip(mean * rng.uniform(0.75, 1.05) + rng.normal(0, 5, (3, 3)), 0, 250)


def _wall_patches(rng: np.random.Generator, extent: tuple[float, float], high: float) -> tuple[Patch, ...]:
    """Return a skirting board, doors, windows, shelves and pictures on a wall."""
    skirting = random_material(rng, ("plain", "planks"), (40, 220))
    patches = [Patch((-99.0, -0.1), (99.0, 0.0), skirting)] if rng.random() < 0.7 else []
    for _ in range(rng.integers(0, 6)):
        u = rng.uniform(*extent)
        shape = str(rng.choice(["door", "window", "picture", "picture", "shelf"]))
        frame = random_material(rng, ("plain",), (40, 235))
        (u0, v0), (u1, v1) = _rectangle(rng, shape, u, high=high)
        # All are drawn, whatever the shape, so that a seed gives the same place.
        inner = {
            "window": random_material(rng, ("plain",), (215, 245)),
            "shelf": random_material(rng, ("stripes", "checks"), (50, 170)),
            "door": random_material(rng, ("plain", "planks"), (60, 200)),
            "picture": random_material(rng, ("mottled", "checks", "plain", "stripes"), (40, 220)),
        }[shape]
        bottom = v1 - (0.05 if v1 < 0 else 0)
        patches += [
            Patch((u0, v0), (u1, v1), frame),
            Patch((u0 + 0.05, v0 + 0.05), (u1 - 0.05, bottom), inner),
        ]
        if shape == "window":
            middle = (u0 + u1) / 2
            patches.append(Patch((middle - 0.025, v0), (middle + 0.025, v1), frame))
    return tuple(patches)


def _rectangle(
    rng: np.random.Generator, shape: str, u: float, *, high: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the corners (u, v) of a wall patch that starts at `u`; v is the negative height."""
    if shape == "door":
        return (u, -2.05), (u + 0.95, 0.0)
    if shape == "window":
        wide, low = rng.uniform(0.8, 2.2), rng.uniform(0.8, 1.1)
        return (u, -min(2.3, high - 0.3)), (u + wide, -low)
    if shape == "shelf":
        return (u, -rng.uniform(1.5, 2.2)), (u + rng.uniform(0.7, 1.8), 0.0)
    v, wide, tall = rng.uniform(1.4, 2.0), rng.uniform(0.3, 1.3), rng.uniform(0.3, 0.8)
    return (u, -v - tall / 2), (u + wide, -v + tall / 2)
