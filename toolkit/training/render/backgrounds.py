"""Places for people to be in: rooms, streets, parks and studios, with furniture, all drawn by the seed of a generator."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from .cameras import Camera, place_camera
from .materials import GROUNDS_INDOORS, WALLS, Material, fractal_noise, grass, pavement, random_material
from .rasterise import Light, shade

KINDS = ("room", "street", "park", "studio", "hall")
FAR_M = 1e6


@dataclass(frozen=True)
class Patch:
    """A rectangle on a plane: a door, a window, a picture, a stripe on the road; low and high (u, v) in metres."""

    low: tuple[float, float]
    high: tuple[float, float]
    material: Material


@dataclass(frozen=True)
class Plane:
    """All points with coordinate `axis` equal to `offset`, where y is above (less than) no `top`.

    Attributes:
        axis: 0, 1 or 2 for x, y or z.
        offset: metres.
        normal: +1 or -1, towards the inside along the axis.
        material: what it is made of.
        patches: what is on it, later ones on top.
        top_m: height of its upper edge; `ragged_m`: how much that goes up and down.
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
    """Planes around the camera and a sky behind them; `clear_m` is how far people may stand to the sides and away."""

    kind: str
    planes: tuple[Plane, ...]
    sky: np.ndarray
    clouds: np.ndarray
    clear_m: tuple[float, float]
    indoors: bool = False
    noise: np.ndarray = field(default_factory=lambda: np.zeros((256, 256), np.float32))


def random_place(rng: np.random.Generator, kind: str | None = None) -> Place:
    """Return a place of a kind, or of any."""
    kind = kind or str(rng.choice(KINDS, p=[0.35, 0.25, 0.2, 0.1, 0.1]))
    sky = _sky(rng)
    clouds = fractal_noise(rng, 1.7)
    if kind in ("room", "hall"):
        half, deep, high = (
            (rng.uniform(2.6, 5), rng.uniform(6, 10.5), rng.uniform(2.9, 3.6))
            if kind == "room"
            else (12.0, 28.0, 7.0)
        )
        floor = random_material(rng, GROUNDS_INDOORS)
        wall = random_material(rng, WALLS, (90, 230))
        side = wall if rng.random() < 0.7 else random_material(rng, WALLS, (90, 230))
        ceiling = random_material(rng, ("plain", "tiles"), (180, 240))
        planes = (
            Plane(1, 0.0, -1, floor),
            Plane(1, -high, 1, ceiling),
            Plane(2, deep, -1, wall, _wall_things(rng, -half, half, high)),
            Plane(0, -half, 1, side, _wall_things(rng, 1.0, deep, high)),
            Plane(0, half, -1, side, _wall_things(rng, 1.0, deep, high)),
        )
        return Place(kind, planes, sky, clouds, (half - 0.5, deep - 0.6), indoors=True)
    if kind == "studio":
        material = random_material(rng, ("plain",), (60, 235))
        ground = (
            material
            if rng.random() < 0.6
            else random_material(rng, ("plain", "mottled", "planks"), (60, 200))
        )
        return Place(
            kind,
            (Plane(1, 0.0, -1, ground), Plane(2, rng.uniform(10, 14), -1, material)),
            sky,
            clouds,
            (6.0, 9.5),
            indoors=True,
        )
    if kind == "park":
        ground = grass(rng) if rng.random() < 0.7 else pavement(rng, (110, 200))
        hedge = Plane(
            2, rng.uniform(14, 45), -1, grass(rng), top_m=rng.uniform(1.5, 7), ragged_m=rng.uniform(0.5, 3)
        )
        path = Patch((rng.uniform(-6, -1), -50.0), (rng.uniform(0.5, 5), 200.0), pavement(rng, (110, 200)))
        return Place(
            kind,
            (Plane(1, 0.0, -1, ground, (path,) * int(rng.random() < 0.6)), hedge),
            sky,
            clouds,
            (8.0, 13.0),
        )
    return Place(kind, _street(rng), sky, clouds, (5.0, 14.0))


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
    """Return the colours at the horizon, above and of clouds, (3, 3)."""
    blue = np.array([[225, 215, 200], [215, 165, 110], [240, 238, 235]], np.float64)
    grey = np.array([[215, 212, 208], [190, 185, 180], [228, 226, 224]], np.float64)
    return np.clip(
        (blue if rng.random() < 0.6 else grey) * rng.uniform(0.75, 1.05) + rng.normal(0, 5, (3, 3)), 0, 250
    )


def _wall_things(rng: np.random.Generator, start: float, end: float, high: float) -> tuple[Patch, ...]:
    """Return a skirting board and some doors, windows, shelves and pictures on a wall that runs from `start` to `end`."""
    dark = random_material(rng, ("plain", "planks"), (40, 220))
    things = [Patch((-99.0, -0.1), (99.0, 0.0), dark)] if rng.random() < 0.7 else []
    for _ in range(rng.integers(0, 6)):
        u = rng.uniform(start, end)
        shape = rng.choice(["door", "window", "picture", "picture", "shelf"])
        frame = random_material(rng, ("plain",), (40, 235))
        if shape == "door":
            rectangle = (u, -2.05), (u + 0.95, 0.0)
        elif shape == "window":
            wide, low = rng.uniform(0.8, 2.2), rng.uniform(0.8, 1.1)
            rectangle = (u, -min(2.3, high - 0.3)), (u + wide, -low)
        elif shape == "shelf":
            rectangle = (u, -rng.uniform(1.5, 2.2)), (u + rng.uniform(0.7, 1.8), 0.0)
        else:
            v, wide, tall = rng.uniform(1.4, 2.0), rng.uniform(0.3, 1.3), rng.uniform(0.3, 0.8)
            rectangle = (u, -v - tall / 2), (u + wide, -v + tall / 2)
        (u0, v0), (u1, v1) = rectangle
        inner = {
            "window": random_material(rng, ("plain",), (215, 245)),
            "shelf": random_material(rng, ("stripes", "checks"), (50, 170)),
            "door": random_material(rng, ("plain", "planks"), (60, 200)),
        }.get(str(shape), random_material(rng, ("mottled", "checks", "plain", "stripes"), (40, 220)))
        things += [
            Patch((u0, v0), (u1, v1), frame),
            Patch((u0 + 0.05, v0 + 0.05), (u1 - 0.05, v1 - (0.05 if v1 < 0 else 0)), inner),
        ]
        if shape == "window":
            middle = (u0 + u1) / 2
            things.append(Patch((middle - 0.025, v0), (middle + 0.025, v1), frame))
    return tuple(things)


def paint_place(place: Place, camera: Camera, light: Light) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw a place without people.

    Returns:
        BGR (H * W, 3) 0..255, depth z (H * W,) in metres, and a mask (H * W,) of the ground.
    """
    rays = camera.rays()
    lengths = np.linalg.norm(rays, axis=1)
    depth, hit = np.full(len(rays), FAR_M), np.full(len(rays), -1)
    for index, plane in enumerate(place.planes):
        with np.errstate(divide="ignore", invalid="ignore"):
            away = (plane.offset - camera.position_m[plane.axis]) / rays[:, plane.axis]
        seen = (away > 0) & (away < depth) & np.isfinite(away)
        if np.isfinite(plane.top_m):
            points = camera.position_m + rays[seen] * away[seen, None]
            other = points[:, 2 - plane.axis]
            wave = place.clouds[np.int64(np.abs(other) * 6) % 256, plane.axis * 9]
            seen[np.flatnonzero(seen)[-points[:, 1] > plane.top_m + plane.ragged_m * wave]] = False
        depth[seen], hit[seen] = away[seen], index
    colours = _paint_sky(place, rays / lengths[:, None])
    for index, plane in enumerate(place.planes):
        on = np.flatnonzero(hit == index)
        points = camera.position_m + rays[on] * depth[on, None]
        slant = np.abs(rays[on, plane.axis]) / lengths[on]
        colours[on] = _paint_plane(plane, points, depth[on] / camera.focal_px / np.maximum(slant, 0.05))
        normal = np.zeros(3)
        normal[plane.axis] = plane.normal
        normals = np.tile(camera.rotation @ normal, (len(on), 1))
        colours[on] = shade(colours[on], normals, light, camera.down)
        if place.indoors:
            colours[on] *= _corners(place, plane, points)[:, None]
    ground = (hit >= 0) & (np.array([plane.axis == 1 and plane.offset == 0 for plane in place.planes])[hit])
    return colours, depth, ground


def _paint_plane(plane: Plane, points: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    u, v = points[:, 2 if plane.axis == 0 else 0], points[:, 2 if plane.axis == 1 else 1]
    colours = plane.material.colour_at(u, v, footprint)
    for patch in plane.patches:
        on = (u > patch.low[0]) & (u < patch.high[0]) & (v > patch.low[1]) & (v < patch.high[1])
        colours[on] = patch.material.colour_at(u[on], v[on], footprint[on])
    return colours


def _corners(place: Place, plane: Plane, points: np.ndarray) -> np.ndarray:
    """Return a darkening (P,) towards the edges where planes meet."""
    dark = np.ones(len(points))
    for other in place.planes:
        if other.axis != plane.axis:
            dark *= 1 - 0.22 * np.exp(-np.abs(points[:, other.axis] - other.offset) / 0.35)
    return dark


def _paint_sky(place: Place, ways: np.ndarray) -> np.ndarray:
    up = np.clip(-ways[:, 1], 0.02, 1)
    colours = place.sky[0] + (place.sky[1] - place.sky[0]) * np.sqrt(up)[:, None]
    x, y = (
        (ways[:, 0] / (up + 0.15) * 70).astype(np.int64) % 256,
        (ways[:, 2] / (up + 0.15) * 70).astype(np.int64) % 256,
    )
    cover = np.clip(place.clouds[y, x] * 1.2, 0, 1)[:, None] * np.clip(up * 4, 0, 1)[:, None]
    return colours * (1 - cover) + place.sky[2] * cover


def random_background(rng: np.random.Generator, size: tuple[int, int], light: Light) -> np.ndarray:
    """Return a picture (H, W, 3) uint8 BGR of a random place with nobody and nothing in it."""
    camera = place_camera(
        size, rng.uniform(40, 75), rng.uniform(0.8, 2.8), rng.uniform(-8, 25), rng.normal(0, 2)
    ).enlarged(2)
    colours, _, _ = paint_place(random_place(rng), camera, light)
    return finish(colours.reshape(*camera.size, 3), size)


def finish(colours: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Reduce an enlarged picture to (H, W) and to uint8."""
    reduced = cv2.resize(colours.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    return np.clip(reduced + 0.5, 0, 255).astype(np.uint8)
