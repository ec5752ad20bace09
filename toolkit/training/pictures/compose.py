"""Compose training pictures: mosaics, photos of scenes, pasted people, and places without people."""

from __future__ import annotations

import numpy as np

from .mixture import Mixture, Size
from .mosaic import compose_mosaic, compose_scene
from .pasting import compose_empty, compose_pasted
from .people import People, Region, no_people
from .photos import Photos
from .pictures import vary


def compose(
    photos: Photos, mixture: Mixture, size: Size, *, pad_value: int, rng: np.random.Generator
) -> tuple[np.ndarray, People]:
    """Return one training picture and its people.

    Args:
        photos: the source photos.
        mixture: probabilities of the kinds of pictures.
        size: (height, width) of the picture.
        pad_value: grey level of letterbox bars.
        rng: the only source of randomness.

    Returns:
        (H, W, 3) uint8 BGR, and the people with centres in the picture.
    """
    kinds = {
        "mosaic": photos.portraits,
        "scene": photos.scenes,
        "pasted": photos.cutouts or photos.bodies,
        "empty": photos.empty,
    }
    shares = np.array([getattr(mixture, kind) if sources else 0.0 for kind, sources in kinds.items()])
    kind = list(kinds)[rng.choice(len(kinds), p=shares / shares.sum())]
    frame = _letterbox(size, rng) if rng.random() < mixture.framed else (0, 0, size[1], size[0])
    if kind == "mosaic":
        picture, people = compose_mosaic(photos, mixture.scene_tile, size, frame=frame, rng=rng)
    elif kind == "scene":
        picture, people = compose_scene(photos, size, frame, rng=rng)
    elif kind == "pasted":
        picture, people = compose_pasted(photos, mixture, size, frame=frame, rng=rng)
    else:
        picture, people = compose_empty(photos, size, frame, rng=rng), no_people()
    picture = vary(picture, rng)
    x0, y0, x1, y1 = frame
    framed = np.full_like(picture, pad_value)
    framed[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
    return framed, people.clipped(frame)


def _letterbox(size: Size, rng: np.random.Generator) -> Region:
    """Return the region of a picture of another common aspect ratio in the input."""
    height, width = size
    aspect = rng.choice([4 / 3, 4 / 3, 3 / 2, 1.0, 3 / 4, 2 / 3, 2.2])
    inner_height, inner_width = round(width / aspect), width
    if aspect * height < width:
        inner_height, inner_width = height, round(height * aspect)
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    return left, top, left + inner_width, top + inner_height
