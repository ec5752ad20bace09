"""Rasteriser: projection, an exact z-buffer in numpy, vertex normals and shading.

Camera frame: x right, y down, z away. Pictures: the centre of the top-left pixel is (0, 0), colours are BGR.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NEAR_M = 0.1


@dataclass(frozen=True)
class Fragments:
    """The P pixels that a surface covers, with its nearest point at each.

    Attributes:
        pixels: (P,) unique indices into the flattened picture.
        depth: (P,) z.
        face: (P,) index of the triangle.
        weights: (P, 3) perspective-correct barycentric coordinates.
    """

    pixels: np.ndarray
    depth: np.ndarray
    face: np.ndarray
    weights: np.ndarray

    def __len__(self) -> int:
        return len(self.pixels)


@dataclass(frozen=True)
class Light:
    """A distant lamp and ambient light.

    Attributes:
        direction: (3,) unit vector towards the lamp, camera frame.
        lamp, ambient: strengths; their sum is about 1.
        bounce: share of the ambient light that comes from below; larger indoors.
        lamp_colour, sky_colour: (3,) BGR near 1.
    """

    direction: np.ndarray
    lamp: float
    ambient: float
    bounce: float
    lamp_colour: np.ndarray
    sky_colour: np.ndarray


def project(points: np.ndarray, focal_px: float, principal_px: tuple[float, float]) -> np.ndarray:
    """Return pixels (..., 2) of points (..., 3) in the camera frame."""
    return focal_px * points[..., :2] / points[..., 2:] + np.asarray(principal_px)


def rasterise(
    points_px: np.ndarray,
    depth: np.ndarray,
    faces: np.ndarray,
    *,
    size: tuple[int, int],
    two_sided: bool = False,
) -> Fragments:
    """Return the nearest triangle at every pixel.

    Args:
        points_px: (V, 2) vertices in the picture.
        depth: (V,) their z; triangles with a vertex nearer than NEAR_M are dropped.
        faces: (T, 3) vertex indices; front faces have a negative signed area in the picture.
        size: (height, width).
        two_sided: keep back faces.
    """
    height, width = size
    index = np.arange(len(faces))
    ahead = (depth > NEAR_M)[faces].all(1)
    index, corners = index[ahead], points_px[faces[ahead]]
    first, second, third = (corners[:, k] for k in range(3))
    edge_1, edge_2 = second - first, third - first
    area = edge_1[:, 0] * edge_2[:, 1] - edge_1[:, 1] * edge_2[:, 0]
    limit = np.array([width - 1, height - 1])
    # Clip before the conversion to integers, which overflows far outside the picture.
    low = np.clip(np.ceil(np.minimum(np.minimum(first, second), third)), 0, limit + 1).astype(np.int64)
    high = np.clip(np.floor(np.maximum(np.maximum(first, second), third)), -1, limit).astype(np.int64)
    spans = high - low + 1
    keep = ((np.abs(area) > 1e-12) if two_sided else (area < -1e-12)) & (spans > 0).all(1)
    index, corners, area, low, spans = index[keep], corners[keep], area[keep], low[keep], spans[keep]

    counts = spans[:, 0] * spans[:, 1]
    which = np.repeat(np.arange(len(counts)), counts)
    step = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    wide = spans[which, 0]
    row = step // wide
    column = step - row * wide
    x, y = low[which, 0] + column, low[which, 1] + row
    a, b, c = (corners[which, k] for k in range(3))
    doubled = area[which]
    w_a = ((b[:, 0] - x) * (c[:, 1] - y) - (c[:, 0] - x) * (b[:, 1] - y)) / doubled
    w_b = ((c[:, 0] - x) * (a[:, 1] - y) - (a[:, 0] - x) * (c[:, 1] - y)) / doubled
    inside = (w_a >= 0) & (w_b >= 0) & (w_a + w_b <= 1)
    which, pixels = which[inside], (y * width + x)[inside]
    flat = np.stack([w_a[inside], w_b[inside], 1 - w_a[inside] - w_b[inside]], -1)
    inverse = flat / depth[faces[index]][which]
    z = 1 / inverse.sum(1)

    nearest = np.full(height * width, np.inf)
    np.minimum.at(nearest, pixels, z)
    winner = np.full(height * width, -1, np.int64)
    front = np.flatnonzero(z <= nearest[pixels])
    winner[pixels[front]] = front
    chosen = winner[winner >= 0]
    return Fragments(pixels[chosen], z[chosen], index[which[chosen]], inverse[chosen] * z[chosen, None])


def interpolate(fragments: Fragments, faces: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return vertex values (V, C), interpolated at the fragments, (P, C)."""
    corners = faces[fragments.face]
    return sum(values[corners[:, k]] * fragments.weights[:, k, None] for k in range(3))


def nearest_vertex(fragments: Fragments, faces: np.ndarray) -> np.ndarray:
    """Return the index (P,) of the vertex with the largest weight at each fragment."""
    return faces[fragments.face, fragments.weights.argmax(1)]


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return outward area-weighted unit normals (V, 3); front faces as in `rasterise`."""
    corners = vertices[faces]
    of_face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = [
        sum(np.bincount(faces[:, k], of_face[:, axis], len(vertices)) for k in range(3)) for axis in range(3)
    ]
    normals = np.stack(sums, -1)
    return normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)


def shade(albedo: np.ndarray, normals: np.ndarray, light: Light, *, down: np.ndarray) -> np.ndarray:
    """Return colours (P, 3), 0..255, under a lamp and ambient light that is brighter from above.

    Args:
        albedo: (P, 3) BGR, 0..255.
        normals: (P, 3) camera frame, of any length.
        light: the lamp and the ambient light.
        down: (3,) down direction of the world in the camera frame.
    """
    normals = normals / (np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12)
    lamp = np.clip(normals @ light.direction, 0, None)[:, None] * light.lamp * light.lamp_colour
    openness = 0.5 * (1 + light.bounce) - 0.5 * (1 - light.bounce) * (normals @ down)
    sky = openness[:, None] * light.ambient * light.sky_colour
    return np.clip(albedo * (lamp + sky), 0, 255)
