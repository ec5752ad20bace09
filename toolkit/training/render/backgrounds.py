"""Backgrounds: places rendered without people."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from .cameras import Camera, place_camera
from .places import Place, Plane, random_place
from .rasterise import Light, shade

FAR_M = 1e6


class Backdrop(NamedTuple):
    """A place without people, one row per pixel."""

    colours: np.ndarray  # (H * W, 3) BGR, 0..255
    depth_m: np.ndarray  # (H * W,) z in the camera frame, FAR_M for the sky
    ground: np.ndarray  # (H * W,) True on the ground plane


def paint_place(place: Place, camera: Camera, light: Light) -> Backdrop:
    """Render a place without people."""
    rays = camera.rays()
    lengths = np.linalg.norm(rays, axis=1)
    depth, hit = _nearest_planes(place, camera, rays)
    colours = _paint_sky(place, rays / lengths[:, None])
    for index, plane in enumerate(place.planes):
        on = np.flatnonzero(hit == index)
        points = camera.position_m + rays[on] * depth[on, None]
        slant = np.abs(rays[on, plane.axis]) / lengths[on]
        footprint_m = depth[on] / camera.focal_px / np.maximum(slant, 0.05)
        colours[on] = _paint_plane(plane, points, footprint_m)
        normal = np.zeros(3)
        normal[plane.axis] = plane.normal
        normals = np.tile(camera.rotation @ normal, (len(on), 1))
        colours[on] = shade(colours[on], normals, light, down=camera.down)
        if place.indoors:
            colours[on] *= _corner_shading(place, plane, points)[:, None]
    is_ground = np.array([plane.axis == 1 and plane.offset == 0 for plane in place.planes])
    return Backdrop(colours, depth, (hit >= 0) & is_ground[hit])


def _nearest_planes(place: Place, camera: Camera, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the depth (P,) of the nearest plane along each ray and its index (P,), -1 for the sky."""
    depth, hit = np.full(len(rays), FAR_M), np.full(len(rays), -1)
    for index, plane in enumerate(place.planes):
        with np.errstate(divide="ignore", invalid="ignore"):
            away = (plane.offset - camera.position_m[plane.axis]) / rays[:, plane.axis]
        visible = (away > 0) & (away < depth) & np.isfinite(away)
        if np.isfinite(plane.top_m):
            points = camera.position_m + rays[visible] * away[visible, None]
            other = points[:, 2 - plane.axis]
            wave = place.clouds[np.int64(np.abs(other) * 6) % 256, plane.axis * 9]
            above = -points[:, 1] > plane.top_m + plane.ragged_m * wave
            visible[np.flatnonzero(visible)[above]] = False
        depth[visible], hit[visible] = away[visible], index
    return depth, hit


def _paint_plane(plane: Plane, points: np.ndarray, footprint: np.ndarray) -> np.ndarray:
    u, v = points[:, 2 if plane.axis == 0 else 0], points[:, 2 if plane.axis == 1 else 1]
    colours = plane.material.colour_at(u, v, footprint)
    for patch in plane.patches:
        on = (u > patch.low[0]) & (u < patch.high[0]) & (v > patch.low[1]) & (v < patch.high[1])
        colours[on] = patch.material.colour_at(u[on], v[on], footprint[on])
    return colours


def _corner_shading(place: Place, plane: Plane, points: np.ndarray) -> np.ndarray:
    """Return brightness factors (P,) that fall towards the edges where planes meet."""
    dark = np.ones(len(points))
    for other in place.planes:
        if other.axis != plane.axis:
            dark *= 1 - 0.22 * np.exp(-np.abs(points[:, other.axis] - other.offset) / 0.35)
    return dark


def _paint_sky(place: Place, directions: np.ndarray) -> np.ndarray:
    """Return the sky (P, 3) BGR along unit directions (P, 3)."""
    up = np.clip(-directions[:, 1], 0.02, 1)
    colours = place.sky[0] + (place.sky[1] - place.sky[0]) * np.sqrt(up)[:, None]
    x, y = ((directions[:, axis] / (up + 0.15) * 70).astype(np.int64) % 256 for axis in (0, 2))
    cover = np.clip(place.clouds[y, x] * 1.2, 0, 1)[:, None] * np.clip(up * 4, 0, 1)[:, None]
    return colours * (1 - cover) + place.sky[2] * cover


def random_background(rng: np.random.Generator, size: tuple[int, int], light: Light) -> np.ndarray:
    """Return a picture (H, W, 3) uint8 BGR of a random place without people and props."""
    camera = place_camera(
        size, rng.uniform(40, 75), rng.uniform(0.8, 2.8), pitch=rng.uniform(-8, 25), roll=rng.normal(0, 2)
    ).enlarged(2)
    backdrop = paint_place(random_place(rng), camera, light)
    return finish(backdrop.colours.reshape(*camera.size, 3), size)


def finish(colours: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an enlarged picture reduced to `size` (height, width), uint8, by area averaging."""
    reduced = cv2.resize(colours.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    return np.clip(reduced + 0.5, 0, 255).astype(np.uint8)
