"""Props that partly occlude people: boxes, tables, stools, posts, bins and bushes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..motion.turns import about
from .cameras import Camera
from .materials import Material, grass, random_material
from .rasterise import Fragments, Light, interpolate, shade

KINDS_INDOORS = ("box", "table", "stool", "cabinet", "bin")
KINDS_OUTDOORS = ("post", "trunk", "bin", "bush", "box", "bench")
ROUND_SIDES = 20

Slab = tuple[np.ndarray, np.ndarray]


class Mesh(NamedTuple):
    """V vertices, T triangles; adjoining faces share no vertices, so that edges stay sharp."""

    vertices_m: np.ndarray  # (V, 3)
    normals: np.ndarray  # (V, 3) outward unit vectors
    faces: np.ndarray  # (T, 3) front faces as in `rasterise`


@dataclass(frozen=True)
class Prop:
    """A prop on the ground.

    Attributes:
        mesh: world frame, metres.
        material: of its surface.
        spot_m: (2,) x and z of its centre.
        radius_m: no person may stand within it.
    """

    mesh: Mesh
    material: Material
    spot_m: np.ndarray
    radius_m: float

    def colours(self, fragments: Fragments, camera: Camera, light: Light) -> np.ndarray:
        """Return BGR (P, 3) at the fragments."""
        values = np.concatenate([self.mesh.vertices_m, self.mesh.normals], axis=1)
        here = interpolate(fragments, self.mesh.faces, values)
        points, normals = here[:, :3], here[:, 3:]
        axis = np.abs(normals).argmax(1)
        u = np.where(axis == 0, points[:, 2], points[:, 0])
        v = np.where(axis == 1, points[:, 2], points[:, 1])
        albedo = self.material.colour_at(u, v, fragments.depth / camera.focal_px)
        return shade(albedo, normals @ camera.rotation.T, light, down=camera.down)


def box(low: np.ndarray, high: np.ndarray) -> Mesh:
    """Return an axis-aligned box from its lowest corner (3,) to its highest (3,)."""
    vertices: list[np.ndarray] = []
    normals: list[np.ndarray] = []
    faces: list[list[int]] = []
    for axis in range(3):
        for sign in (-1, 1):
            first, second = (axis + 1) % 3, (axis + 2) % 3
            start = len(vertices)
            for a, b in ((0, 0), (1, 0), (1, 1), (0, 1)):
                corner = np.empty(3)
                corner[axis] = (low, high)[sign > 0][axis]
                corner[first], corner[second] = (low, high)[a][first], (low, high)[b][second]
                vertices.append(corner)
                normals.append(sign * np.eye(3)[axis])
            quad = [(0, 1, 2), (0, 2, 3)] if sign > 0 else [(0, 2, 1), (0, 3, 2)]
            faces += [[start + k for k in triangle] for triangle in quad]
    return Mesh(np.array(vertices), np.array(normals), np.array(faces))


def ellipsoid(centre: np.ndarray, radii: np.ndarray, rough: np.ndarray | None = None) -> Mesh:
    """Return an ellipsoid; `rough` (ROUND_SIDES // 2 + 1, ROUND_SIDES) scales its radius at each vertex."""
    rings = ROUND_SIDES // 2 + 1
    height, turn = np.meshgrid(
        np.linspace(0, np.pi, rings), np.arange(ROUND_SIDES) * 2 * np.pi / ROUND_SIDES, indexing="ij"
    )
    directions = np.stack([np.sin(height) * np.cos(turn), -np.cos(height), np.sin(height) * np.sin(turn)], -1)
    scale = np.ones(height.shape) if rough is None else rough
    vertices = centre + directions.reshape(-1, 3) * radii * scale.reshape(-1, 1)
    normals = directions.reshape(-1, 3) / radii
    return Mesh(vertices, normals / np.linalg.norm(normals, axis=1, keepdims=True), _grid_faces(rings))


def cylinder(spot: np.ndarray, radius: float, height: float) -> Mesh:
    """Return an upright cylinder on the ground, with a lid."""
    turn = np.arange(ROUND_SIDES) * 2 * np.pi / ROUND_SIDES
    outwards = np.stack([np.cos(turn), np.zeros(ROUND_SIDES), np.sin(turn)], -1)
    foot = np.array([spot[0], 0.0, spot[1]])
    up = np.array([0.0, -height, 0.0])
    side = np.concatenate([foot + up + radius * outwards, foot + radius * outwards])
    lid = np.concatenate([[foot + up], foot + up + radius * outwards])
    start = len(side)
    lid_faces = [[start, start + 1 + k, start + 1 + (k + 1) % ROUND_SIDES] for k in range(ROUND_SIDES)]
    normals = np.concatenate([outwards, outwards, np.tile([0.0, -1.0, 0.0], (ROUND_SIDES + 1, 1))])
    return Mesh(np.concatenate([side, lid]), normals, np.concatenate([_grid_faces(2), lid_faces]))


def _grid_faces(rings: int) -> np.ndarray:
    faces = []
    for ring in range(rings - 1):
        for k in range(ROUND_SIDES):
            a, b = ring * ROUND_SIDES + k, ring * ROUND_SIDES + (k + 1) % ROUND_SIDES
            faces += [[a, a + ROUND_SIDES, b], [b, a + ROUND_SIDES, b + ROUND_SIDES]]
    return np.array(faces)


def _slab(x: float, z: float, low: float, *, high: float) -> Slab:
    """Return the corners of a box centred on the vertical axis, from `low` to `high` above the ground."""
    return np.array([-x, -high, -z]), np.array([x, -low, z])


def _table(x: float, z: float, height: float, *, leg: float, top: float) -> list[Slab]:
    feet = [np.array([i * (x - leg), 0.0, k * (z - leg)]) for i in (-1, 1) for k in (-1, 1)]
    low, high = _slab(leg, leg, 0, high=height - top)
    return [_slab(x, z, height - top, high=height)] + [(low + foot, high + foot) for foot in feet]


def make_prop(
    rng: np.random.Generator, kind: str, spot_m: np.ndarray, *, height_m: float | None = None
) -> Prop:
    """Return a random prop of a kind of KINDS_INDOORS or KINDS_OUTDOORS.

    Args:
        rng: the only source of randomness.
        kind: of the prop.
        spot_m: (2,) x and z of its centre.
        height_m: height of a stool; None draws it.
    """
    material = random_material(rng, ("plain", "plain", "planks", "mottled", "stripes"), (30, 210))
    spot = np.asarray(spot_m, np.float64)
    if kind in ("post", "trunk", "bin"):
        radius, height = _cylinder_size(rng, kind)
        return Prop(cylinder(spot, radius, height), material, spot, radius)
    if kind == "bush":
        radii = np.array([rng.uniform(0.4, 1.0), rng.uniform(0.4, 0.9), rng.uniform(0.4, 0.8)])
        rough = 1 + 0.09 * rng.normal(0, 1, (ROUND_SIDES // 2 + 1, ROUND_SIDES))
        rough[[0, -1]] = 1  # all vertices of a pole's ring coincide
        mesh = ellipsoid(np.array([spot[0], -0.7 * radii[1], spot[1]]), radii, rough)
        return Prop(mesh, grass(rng), spot, float(radii[[0, 2]].max()))
    slabs = _slabs(rng, kind, height_m)
    # The first slab is the widest.
    reach = float(np.hypot(slabs[0][1][0], slabs[0][1][2]))
    return Prop(_turned(slabs, spot, rng.uniform(0, 360)), material, spot, reach)


def _cylinder_size(rng: np.random.Generator, kind: str) -> tuple[float, float]:
    """Return radius and height; the sizes of all kinds are drawn, so that a seed gives the same scene."""
    sizes = {
        "post": (rng.uniform(0.04, 0.09), rng.uniform(2.5, 5)),
        "trunk": (rng.uniform(0.12, 0.3), 7.0),
        "bin": (rng.uniform(0.18, 0.3), rng.uniform(0.5, 1.0)),
    }
    return sizes[kind]


def _slabs(rng: np.random.Generator, kind: str, height_m: float | None) -> list[Slab]:
    """Return the boxes of a piece of furniture by their lowest and highest corners."""
    draw = rng.uniform
    if kind == "table":
        return _table(draw(0.45, 0.9), draw(0.3, 0.5), draw(0.7, 0.78), leg=0.03, top=0.04)
    if kind == "bench":
        return _table(draw(0.6, 0.9), 0.2, 0.45, leg=0.04, top=0.06)
    if kind == "stool":
        return _table(0.19, 0.19, height_m if height_m is not None else draw(0.42, 0.6), leg=0.025, top=0.05)
    if kind == "box":
        x, z, height = draw(0.2, 0.4), draw(0.2, 0.4), draw(0.3, 0.9)
    else:
        x, z, height = draw(0.3, 0.7), draw(0.2, 0.3), draw(0.9, 1.9)
    return [_slab(x, z, 0.0, high=height)]


def _turned(slabs: list[Slab], spot: np.ndarray, yaw: float) -> Mesh:
    """Return one mesh of all slabs, turned by `yaw` degrees and moved to a spot."""
    meshes = [box(low, high) for low, high in slabs]
    starts = np.cumsum([0] + [len(mesh.vertices_m) for mesh in meshes[:-1]])
    turn = about("y", yaw)
    return Mesh(
        np.concatenate([mesh.vertices_m for mesh in meshes]) @ turn.T + [spot[0], 0.0, spot[1]],
        np.concatenate([mesh.normals for mesh in meshes]) @ turn.T,
        np.concatenate([mesh.faces + start for mesh, start in zip(meshes, starts, strict=True)]),
    )
