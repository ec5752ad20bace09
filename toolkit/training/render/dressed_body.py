"""A dressed body: the surface with cloth and hair, and its colours under a light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .bodies import Surface
from .outfits import Outfit, SurfacePoints, albedo, hair_at, thickness
from .rasterise import Fragments, Light, interpolate, nearest_vertex, shade, vertex_normals


@dataclass(frozen=True)
class DressedBody:
    """A dressed body in the camera frame.

    Attributes:
        vertices_m: (V, 3).
        normals: (V, 3) unit vectors.
        hair: (V,) hair measure, see `outfits.hair_at`.
        outfit: its clothes.
    """

    vertices_m: np.ndarray
    normals: np.ndarray
    hair: np.ndarray
    outfit: Outfit


def dress(vertices_m: np.ndarray, surface: Surface, outfit: Outfit) -> DressedBody:
    """Put an outfit on a posed body.

    Args:
        vertices_m: (V, 3) skin in the camera frame.
        surface: the mesh of the body.
        outfit: clothes and hair.
    """
    normals = vertex_normals(vertices_m, surface.faces)
    outer = vertices_m + normals * thickness(outfit, surface)[:, None]
    return DressedBody(outer, vertex_normals(outer, surface.faces), hair_at(outfit, surface), outfit)


def colours(
    dressed: DressedBody, surface: Surface, fragments: Fragments, *, light: Light, down: np.ndarray
) -> np.ndarray:
    """Return BGR (P, 3), 0..255, of a dressed body at its fragments.

    Args:
        dressed: the body.
        surface: its mesh.
        fragments: P pixels of it, see `rasterise`.
        light: lamp and ambient light.
        down: (3,) down direction of the world in the camera frame.
    """
    values = np.concatenate(
        [surface.rest, dressed.normals, np.stack([surface.arm, surface.trunk, dressed.hair], -1)], axis=1
    )
    here = interpolate(fragments, surface.faces, values)
    points = SurfacePoints(
        parts=surface.parts[nearest_vertex(fragments, surface.faces)],
        arm=here[:, 6],
        trunk=here[:, 7],
        hair=here[:, 8],
    )
    return shade(albedo(dressed.outfit, points, here[:, :3]), here[:, 3:6], light, down=down)


def random_light(rng: np.random.Generator, view: np.ndarray, indoors: bool = False) -> Light:
    """Return a lamp from above at a random azimuth, and ambient light.

    Args:
        rng: the only source of randomness.
        view: (3, 3) rotation from the world (y down) to the camera frame.
        indoors: weaker lamp, more light from below.
    """
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
