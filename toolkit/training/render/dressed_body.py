"""One dressed person: the body with cloth and hair on it, and its colours under a light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bodies import Surface
from .outfits import Outfit, albedo, hair_at, thickness
from .rasterise import Fragments, Light, interpolate, nearest_vertex, shade, vertex_normals


@dataclass(frozen=True)
class Figure:
    """A dressed body in the camera frame: `vertices_m` (V, 3), `normals` (V, 3), and the hair measure (V,) of its outfit."""

    vertices_m: np.ndarray
    normals: np.ndarray
    hair: np.ndarray
    outfit: Outfit


def dress(vertices_m: np.ndarray, surface: Surface, outfit: Outfit) -> Figure:
    """Put an outfit on a posed body (V, 3)."""
    normals = vertex_normals(vertices_m, surface.faces)
    dressed = vertices_m + normals * thickness(outfit, surface)[:, None]
    return Figure(dressed, vertex_normals(dressed, surface.faces), hair_at(outfit, surface), outfit)


def colours(
    figure: Figure, surface: Surface, fragments: Fragments, light: Light, down: np.ndarray
) -> np.ndarray:
    """Return BGR (P, 3), 0..255, of a figure at its fragments; `down` is the world's down in the camera frame."""
    values = np.concatenate(
        [surface.rest, figure.normals, np.stack([surface.arm, surface.trunk, figure.hair], -1)], axis=1
    )
    here = interpolate(fragments, surface.faces, values)
    parts = surface.parts[nearest_vertex(fragments, surface.faces)]
    return shade(
        albedo(figure.outfit, parts, here[:, 6], here[:, 7], here[:, :3], here[:, 8]),
        here[:, 3:6],
        light,
        down,
    )


def random_light(rng: np.random.Generator, view: np.ndarray, indoors: bool = False) -> Light:
    """Return a lamp from above, to any side, and the sky; `view` (3, 3) takes the world (y down) to the camera frame."""
    azimuth, height = rng.uniform(0, 2 * np.pi), np.radians(rng.uniform(20, 75))
    towards = np.array(
        [np.cos(azimuth) * np.cos(height), -np.sin(height), np.sin(azimuth) * np.cos(height) - 0.35]
    )
    ambient = rng.uniform(0.75, 1.05) if indoors else rng.uniform(0.55, 0.95)
    warm = rng.uniform(-0.06, 0.08)
    return Light(
        direction=view @ (towards / np.linalg.norm(towards)),
        lamp=rng.uniform(0.2 if indoors else 0.3, 1.35 - ambient),
        ambient=ambient,
        bounce=0.8 if indoors else 0.5,
        lamp_colour=np.array([1 - warm, 1, 1 + warm]),
        sky_colour=np.array([1 + rng.uniform(0, 0.07), 1, 1 - rng.uniform(0, 0.05)]),
    )
