"""Cut-out people and objects pasted on places without people, and such places alone."""

from __future__ import annotations

import cv2
import numpy as np

from .layers import Canvas
from .mixture import Mixture, Size, log_uniform, random_columns, random_flip, random_photo
from .people import People, Region, no_people
from .photos import Photo, Photos
from .pictures import decode, similarity, warp

# Narrower gaps beside the people of a portrait are not used as places.
MIN_GAP_PX = 48


def compose_pasted(
    photos: Photos, mixture: Mixture, size: Size, *, frame: Region, rng: np.random.Generator
) -> tuple[np.ndarray, People]:
    """Return a picture of people pasted on a place, with objects in front of some, and its people.

    Args:
        photos: cut-outs or rendered bodies, and places if there are any.
        mixture: settings.
        size: (height, width) of the picture.
        frame: region where people and objects are pasted.
        rng: the only source of randomness.
    """
    canvas = Canvas(random_place(photos, size, rng) if photos.empty else np.full((*size, 3), 128, np.uint8))
    statures_px = _random_statures(mixture, size[0], rng)
    count = len(statures_px)
    objects = int(rng.integers(1, 4)) if photos.empty and rng.random() < mixture.occluder else 0
    behind = rng.integers(0, count + 1, objects)

    def paste_objects(index: int, low: float, high: float, *, stature_px: float) -> None:
        for _ in range(int((behind == index).sum())):
            texture = random_place(photos, size, rng)
            canvas.paste_object(texture, log_uniform(low, high, rng) * stature_px, frame, rng=rng)

    for index, stature_px in enumerate(statures_px):
        paste_objects(index, 0.4, 1.2, stature_px=float(stature_px))
        is_body = photos.bodies and (not photos.cutouts or rng.random() < mixture.body)
        photo = random_photo(photos.bodies if is_body else photos.cutouts, rng)
        _paste_person(canvas, photo, float(stature_px), frame=frame, rng=rng)
    paste_objects(count, 0.3, 0.8, stature_px=float(statures_px[-1]))
    return canvas.picture, canvas.visible_people()


def _random_statures(mixture: Mixture, height: int, rng: np.random.Generator) -> np.ndarray:
    """Return the statures (N,) in px of 1 to 8 people, ascending; nearer people are drawn later."""
    low, high = (stature * height / 256 for stature in mixture.stature_px)
    count = int(rng.choice([1, 2, 3, 4, 5, 6, 8], p=[0.19, 0.23, 0.2, 0.15, 0.1, 0.08, 0.05]))
    typical = low * (high / low) ** (rng.random() ** mixture.small)
    return np.sort(np.clip(typical * np.exp(rng.normal(0, 0.35, count)), low, high))


def _paste_person(
    canvas: Canvas, photo: Photo, stature_px: float, *, frame: Region, rng: np.random.Generator
) -> None:
    if photo.mask is None:
        layer = decode(photo.encoded, cv2.IMREAD_UNCHANGED)
    else:
        layer = np.dstack([decode(photo.encoded), decode(photo.mask, cv2.IMREAD_GRAYSCALE)])
    layer, person = random_flip(layer, photo.people, rng)
    x0, y0, x1, y1 = frame
    goal_x = rng.uniform(x0 + 0.03 * (x1 - x0), x0 + 0.97 * (x1 - x0))
    goal_y = y0 + np.clip(rng.normal(0.55, 0.17), 0.08, 1.1) * (y1 - y0)
    if stature_px > 0.8 * (y1 - y0):
        # Cameras show the upper half of people who do not fit.
        goal_y = max(goal_y, y0 + 0.45 * (y1 - y0))
    angle = rng.normal(0, 0.1) if rng.random() < 0.93 else rng.uniform(-1.6, 1.6)
    scale = stature_px / max(float(person.statures_px[0]), 10.0)
    pelvis = (float(person.pelvis_px[0, 0]), float(person.pelvis_px[0, 1]))
    light = rng.uniform(0.8, 1.2) * rng.uniform(0.88, 1.12, 3)
    matrix = similarity(pelvis, (goal_x, goal_y), scale, angle=angle)
    canvas.paste_person(layer, person, matrix, light=light)


def random_place(photos: Photos, size: Size, rng: np.random.Generator) -> np.ndarray:
    """Return a random crop (H, W, 3) uint8 BGR of a photo without people that fills the canvas."""
    picture = decode(random_photo(photos.empty, rng).encoded)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    height, width = picture.shape[:2]
    scale = max(size[1] / width, size[0] / height) * float(np.exp(rng.uniform(0, 0.7)))
    x, y = (
        rng.uniform(min(0.0, goal - scale * side), 0.0)
        for side, goal in ((width, size[1]), (height, size[0]))
    )
    matrix = similarity((0, 0), (x, y), scale, angle=0.0)
    return warp(np.ascontiguousarray(picture), matrix, size, border=(128, 128, 128))


def free_columns(photo: Photo, width: int, margin: int = 12) -> list[tuple[int, int]]:
    """Return the x ranges left and right of all people in a photo, by their boxes and a margin."""
    left = int(np.clip(photo.people.boxes[:, 0].min() - margin, 0, width))
    right = int(np.clip(photo.people.boxes[:, 2].max() + margin, 0, width))
    return [(0, left), (right, width)]


def compose_empty(photos: Photos, size: Size, frame: Region, *, rng: np.random.Generator) -> np.ndarray:
    """Return a picture without people: one place, or columns of the surroundings of portraits."""
    if not photos.portraits or rng.random() < 0.5:
        return random_place(photos, size, rng)
    canvas = np.zeros((*size, 3), np.uint8)
    for x0, x1 in random_columns(frame, int(rng.integers(2, 6)), rng):
        column_size = (frame[3] - frame[1], x1 - x0)
        photo = random_photo(photos.portraits, rng)
        picture = decode(photo.encoded)
        a, b = max(free_columns(photo, picture.shape[1]), key=lambda part: part[1] - part[0])
        places = photos
        if b - a >= MIN_GAP_PX:
            surroundings = Photo(cv2.imencode(".bmp", picture[:, a:b])[1].tobytes(), no_people())
            places = Photos(empty=[surroundings])
        canvas[frame[1] : frame[3], x0:x1] = random_place(places, column_size, rng)
    return canvas
