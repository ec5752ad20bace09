"""Things that stand around and hide people in part: boxes, tables, stools, posts, bins, bushes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..motion.poses import about
from .cameras import Camera
from .materials import Material, grass, random_material
from .rasterise import Fragments, Light, interpolate, shade

KINDS_INDOORS = ("box", "table", "stool", "cabinet", "bin")
KINDS_OUTDOORS = ("post", "trunk", "bin", "bush", "box", "bench")
ROUND_SIDES = 20


@dataclass(frozen=True)
class Prop:
    """A thing on the ground: triangles with their own corners, so that edges stay sharp.

    Attributes:
        vertices_m, normals: (V, 3) world frame; front faces as `rasterise` knows them.
        faces: (T, 3).
        material: its surface.
        spot_m: (2,) x and z of its middle; radius_m: around it nobody can stand.
    """

    vertices_m: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    material: Material
    spot_m: np.ndarray
    radius_m: float

    def colours(self, fragments: Fragments, camera: Camera, light: Light) -> np.ndarray:
        """Return BGR (P, 3) at the fragments."""
        here = interpolate(fragments, self.faces, np.concatenate([self.vertices_m, self.normals], axis=1))
        points, normals = here[:, :3], here[:, 3:]
        axis = np.abs(normals).argmax(1)
        u = np.where(axis == 0, points[:, 2], points[:, 0])
        v = np.where(axis == 1, points[:, 2], points[:, 1])
        albedo = self.material.colour_at(u, v, fragments.depth / camera.focal_px)
        return shade(albedo, normals @ camera.rotation.T, light, camera.down)


def box(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices (24, 3), normals (24, 3) and faces (12, 3) of an upright box."""
    vertices: list[np.ndarray] = []
    normals: list[np.ndarray] = []
    faces: list[list[int]] = []
    for axis in range(3):
        for way in (-1, 1):
            first, second = (axis + 1) % 3, (axis + 2) % 3
            start = len(vertices)
            for a, b in ((0, 0), (1, 0), (1, 1), (0, 1)):
                corner = np.empty(3)
                corner[axis] = (low, high)[way > 0][axis]
                corner[first], corner[second] = (low, high)[a][first], (low, high)[b][second]
                vertices.append(corner)
                normals.append(way * np.eye(3)[axis])
            quad = [(0, 1, 2), (0, 2, 3)] if way > 0 else [(0, 2, 1), (0, 3, 2)]
            faces += [[start + k for k in triangle] for triangle in quad]
    return np.array(vertices), np.array(normals), np.array(faces)


def ellipsoid(
    centre: np.ndarray, radii: np.ndarray, rough: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices, normals and faces of an ellipsoid; `rough` (rings, ROUND_SIDES) scales its radius from place to place."""
    rings = ROUND_SIDES // 2 + 1
    height, turn = np.meshgrid(
        np.linspace(0, np.pi, rings), np.arange(ROUND_SIDES) * 2 * np.pi / ROUND_SIDES, indexing="ij"
    )
    ways = np.stack([np.sin(height) * np.cos(turn), -np.cos(height), np.sin(height) * np.sin(turn)], -1)
    scale = np.ones(height.shape) if rough is None else rough
    vertices = centre + ways.reshape(-1, 3) * radii * scale.reshape(-1, 1)
    normals = ways.reshape(-1, 3) / radii
    return vertices, normals / np.linalg.norm(normals, axis=1, keepdims=True), _grid_faces(rings)


def cylinder(spot: np.ndarray, radius: float, height: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices, normals and faces of an upright cylinder on the ground, with a lid."""
    turn = np.arange(ROUND_SIDES) * 2 * np.pi / ROUND_SIDES
    ways = np.stack([np.cos(turn), np.zeros(ROUND_SIDES), np.sin(turn)], -1)
    foot = np.array([spot[0], 0.0, spot[1]])
    up = np.array([0.0, -height, 0.0])
    side = np.concatenate([foot + up + radius * ways, foot + radius * ways])
    lid = np.concatenate([[foot + up], foot + up + radius * ways])
    start = len(side)
    lid_faces = [[start, start + 1 + k, start + 1 + (k + 1) % ROUND_SIDES] for k in range(ROUND_SIDES)]
    normals = np.concatenate([ways, ways, np.tile([0.0, -1.0, 0.0], (ROUND_SIDES + 1, 1))])
    return np.concatenate([side, lid]), normals, np.concatenate([_grid_faces(2), lid_faces])


def _grid_faces(rings: int) -> np.ndarray:
    faces = []
    for ring in range(rings - 1):
        for k in range(ROUND_SIDES):
            a, b = ring * ROUND_SIDES + k, ring * ROUND_SIDES + (k + 1) % ROUND_SIDES
            faces += [[a, a + ROUND_SIDES, b], [b, a + ROUND_SIDES, b + ROUND_SIDES]]
    return np.array(faces)


def _slab(x: float, z: float, low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the corners of a box about the vertical through the origin, from `low` to `high` above the ground."""
    return np.array([-x, -high, -z]), np.array([x, -low, z])


def _table(x: float, z: float, height: float, leg: float, top: float) -> list[tuple[np.ndarray, np.ndarray]]:
    feet = [np.array([i * (x - leg), 0.0, k * (z - leg)]) for i in (-1, 1) for k in (-1, 1)]
    low, high = _slab(leg, leg, 0, height - top)
    return [_slab(x, z, height - top, height)] + [(low + foot, high + foot) for foot in feet]


def make_prop(rng: np.random.Generator, kind: str, spot_m: np.ndarray, height_m: float | None = None) -> Prop:
    """Return a thing of a kind at a spot (x, z), turned at random; `height_m` overrides a stool's."""
    material = random_material(rng, ("plain", "plain", "planks", "mottled", "stripes"), (30, 210))
    draw = rng.uniform
    spot = np.asarray(spot_m, np.float64)
    if kind in ("post", "trunk", "bin"):
        radius, height = {
            "post": (draw(0.04, 0.09), draw(2.5, 5)),
            "trunk": (draw(0.12, 0.3), 7.0),
            "bin": (draw(0.18, 0.3), draw(0.5, 1.0)),
        }[kind]
        return Prop(*cylinder(spot, radius, height), material, spot, radius)
    if kind == "bush":
        radii = np.array([draw(0.4, 1.0), draw(0.4, 0.9), draw(0.4, 0.8)])
        rough = 1 + 0.09 * rng.normal(0, 1, (ROUND_SIDES // 2 + 1, ROUND_SIDES))
        rough[[0, -1]] = 1  # all points of a pole's ring are one place
        mesh = ellipsoid(np.array([spot[0], -0.7 * radii[1], spot[1]]), radii, rough)
        return Prop(*mesh, grass(rng), spot, float(radii[[0, 2]].max()))
    if kind == "table":
        x, z, slabs = (x := draw(0.45, 0.9)), (z := draw(0.3, 0.5)), _table(x, z, draw(0.7, 0.78), 0.03, 0.04)
    elif kind == "bench":
        x, z, slabs = (x := draw(0.6, 0.9)), 0.2, _table(x, 0.2, 0.45, 0.04, 0.06)
    elif kind == "stool":
        x, z, slabs = (
            0.19,
            0.19,
            _table(0.19, 0.19, height_m if height_m is not None else draw(0.42, 0.6), 0.025, 0.05),
        )
    else:
        x, z, height = (
            (draw(0.2, 0.4), draw(0.2, 0.4), draw(0.3, 0.9))
            if kind == "box"
            else (draw(0.3, 0.7), draw(0.2, 0.3), draw(0.9, 1.9))
        )
        slabs = [_slab(x, z, 0.0, height)]
    meshes = [box(low, high) for low, high in slabs]
    starts = np.cumsum([0] + [len(mesh[0]) for mesh in meshes[:-1]])
    turn = about("y", draw(0, 360))
    vertices = np.concatenate([mesh[0] for mesh in meshes]) @ turn.T + [spot[0], 0.0, spot[1]]
    normals = np.concatenate([mesh[1] for mesh in meshes]) @ turn.T
    faces = np.concatenate([mesh[2] + start for mesh, start in zip(meshes, starts, strict=True)])
    return Prop(vertices, normals, faces, material, spot, float(np.hypot(x, z)))
