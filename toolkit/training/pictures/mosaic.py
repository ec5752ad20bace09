"""Photos warped into regions of a picture: one scene, or a mosaic of portraits and scenes."""

from __future__ import annotations

import numpy as np

from .mixture import Size, log_uniform, random_columns, random_flip, random_photo
from .people import People, Region, concatenate
from .photos import Photo, Photos
from .pictures import decode, similarity, warp


def compose_scene(
    photos: Photos, size: Size, frame: Region, *, rng: np.random.Generator
) -> tuple[np.ndarray, People]:
    """Return a picture of one scene and its people."""
    canvas = np.zeros((*size, 3), np.uint8)
    photo = random_photo(photos.scenes, rng)
    statures_px = (0.2 * size[0], 1.4 * size[0])
    return canvas, draw_tile(canvas, frame, photo, statures_px=statures_px, rng=rng)


def compose_mosaic(
    photos: Photos, scene_tile: float, size: Size, *, frame: Region, rng: np.random.Generator
) -> tuple[np.ndarray, People]:
    """Return a mosaic of one or two rows and its people.

    Args:
        photos: portraits, and scenes if there are any.
        scene_tile: share of scenes among the tiles.
        size: (height, width) of the picture.
        frame: region of the mosaic.
        rng: the only source of randomness.
    """
    canvas = np.zeros((*size, 3), np.uint8)
    columns = random_columns(frame, int(rng.choice([1, 2, 3, 4, 5], p=[0.08, 0.27, 0.3, 0.25, 0.1])), rng)
    top, bottom = frame[1], frame[3]
    middle = (top + bottom) // 2
    rows = [(top, bottom)] if rng.random() < 0.65 else [(top, middle), (middle, bottom)]
    groups = []
    for y0, y1 in rows:
        for x0, x1 in columns:
            is_scene = photos.scenes and rng.random() < scene_tile
            photo = random_photo(photos.scenes if is_scene else photos.portraits, rng)
            statures_px = (0.45 * (y1 - y0), 1.5 * (y1 - y0))
            groups.append(draw_tile(canvas, (x0, y0, x1, y1), photo, statures_px=statures_px, rng=rng))
    return canvas, concatenate(groups)


def draw_tile(
    canvas: np.ndarray,
    region: Region,
    photo: Photo,
    *,
    statures_px: tuple[float, float],
    rng: np.random.Generator,
) -> People:
    """Draw a photo, centred near one of its people, into a region of the canvas.

    Args:
        canvas: (H, W, 3) uint8 BGR, edited in place.
        region: of the tile.
        photo: to draw.
        statures_px: smallest and largest stature of that person.
        rng: the only source of randomness.

    Returns:
        The people with centres in the region.
    """
    x0, y0, x1, y1 = region
    picture, people = random_flip(decode(photo.encoded), photo.people, rng)
    height, width = picture.shape[:2]
    # The photo should fill the region: next to plain bars, people are too easy to detect.
    cover = max((x1 - x0) / width, (y1 - y0) / height)
    subjects = np.flatnonzero(people.usable)
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    if len(subjects):
        subject = rng.choice(subjects)
        source = 0.8 * people.pelvis_px[subject] + 0.2 * np.array([width / 2, height / 2])
        scale = log_uniform(*statures_px, rng) / max(float(people.statures_px[subject]), 20.0)
        scale = float(np.clip(scale, 0.95 * cover, 8.0))
        goal = middle + rng.normal(0, (0.14, 0.12)) * (x1 - x0, y1 - y0)
    else:
        source, scale, goal = np.array([width / 2, height / 2]), cover * rng.uniform(0.8, 1.4), middle
    angle = rng.normal(0, 0.06) if rng.random() < 0.95 else rng.uniform(-0.6, 0.6)
    matrix = similarity(source, goal, scale, angle=angle)
    _shift_to_cover(matrix, (width, height), region)
    local = matrix.copy()
    local[:, 2] -= (x0, y0)
    border = tuple(rng.uniform(0, 255, 3))
    canvas[y0:y1, x0:x1] = warp(picture, local, (y1 - y0, x1 - x0), border=border)
    return people.moved(matrix).clipped(region)


def _shift_to_cover(matrix: np.ndarray, photo_size: tuple[int, int], region: Region) -> None:
    """Shift a similarity (2, 3) in place so that a photo of (width, height) covers most of the region.

    The rotation is ignored.
    """
    centre = matrix[:, :2] @ (np.array(photo_size) / 2) + matrix[:, 2]
    reach = np.array(photo_size) / 2 * np.sqrt(np.linalg.det(matrix[:, :2]))
    edges = np.sort([np.array(region[2:]) - reach, np.array(region[:2]) + reach], axis=0)
    matrix[:, 2] += np.clip(centre, *edges) - centre
