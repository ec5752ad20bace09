"""Compose training pictures: mosaics of photos, photos of scenes, cut-out people pasted over places, and places alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from .layers import Canvas
from .people import People, Region, concatenate, no_people
from .photos import Photo, Photos
from .pictures import decode, similarity, vary, warp

Size = tuple[int, int]


@dataclass(frozen=True)
class Mixture:
    """How often what is composed; the first four need not add up to 1.

    Attributes:
        mosaic, scene, pasted, empty: shares of the four kinds of pictures.
        scene_tile: share of scenes among the tiles of a mosaic, the rest are portraits.
        body: share of rendered bodies among the pasted people, the rest are cut out of photos.
        framed: share of pictures with grey bars, as a letterbox leaves them.
        occluder: share of pasted pictures with things in front of people.
        small: above 1, the statures of pasted people lean to small; 1 is log-uniform.
        stature_px: smallest and largest stature of pasted people, at an input 256 pixels high.
    """

    mosaic: float = 0.30
    scene: float = 0.10
    pasted: float = 0.50
    empty: float = 0.10
    scene_tile: float = 0.15
    body: float = 0.6
    framed: float = 0.3
    occluder: float = 0.3
    small: float = 1.25
    stature_px: tuple[float, float] = (36.0, 420.0)


def compose(
    photos: Photos, mixture: Mixture, size: Size, *, pad_value: int, rng: np.random.Generator
) -> tuple[np.ndarray, People]:
    """Return one training picture and the people in it.

    Args:
        photos: material.
        mixture: what to make of it.
        size: (height, width) of the picture.
        pad_value: grey level of letterbox bars.
        rng: the only source of chance.

    Returns:
        (H, W, 3) uint8 BGR, and the people whose centre lies in the picture.
    """
    kinds = {
        "mosaic": photos.portraits,
        "scene": photos.scenes,
        "pasted": photos.cutouts or photos.bodies,
        "empty": photos.empty,
    }
    shares = np.array([getattr(mixture, kind) if material else 0.0 for kind, material in kinds.items()])
    kind = list(kinds)[rng.choice(len(kinds), p=shares / shares.sum())]
    frame = _letterbox(size, rng) if rng.random() < mixture.framed else (0, 0, size[1], size[0])
    if kind == "mosaic":
        picture, people = _mosaic(photos, mixture.scene_tile, size, frame=frame, rng=rng)
    elif kind == "scene":
        canvas = np.zeros((*size, 3), np.uint8)
        picture, people = (
            canvas,
            _tile(canvas, frame, _pick(photos.scenes, rng), statures_px=(0.2 * size[0], 1.4 * size[0]), rng=rng),
        )
    elif kind == "pasted":
        picture, people = _pasted(photos, mixture, size, frame=frame, rng=rng)
    else:
        picture, people = _empty(photos, size, frame, rng=rng), no_people()
    picture = vary(picture, rng)
    x0, y0, x1, y1 = frame
    framed = np.full_like(picture, pad_value)
    framed[y0:y1, x0:x1] = picture[y0:y1, x0:x1]
    return framed, people.clipped(frame)


def _pick(photos: Sequence[Photo], rng: np.random.Generator) -> Photo:
    return photos[int(rng.integers(len(photos)))]


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _letterbox(size: Size, rng: np.random.Generator) -> Region:
    """Return where a picture of a usual other aspect would lie in the input."""
    height, width = size
    aspect = rng.choice([4 / 3, 4 / 3, 3 / 2, 1.0, 3 / 4, 2 / 3, 2.2])
    inner_height, inner_width = (
        (height, round(height * aspect)) if aspect * height < width else (round(width / aspect), width)
    )
    left, top = (width - inner_width) // 2, (height - inner_height) // 2
    return left, top, left + inner_width, top + inner_height


def _flipped(picture: np.ndarray, people: People, rng: np.random.Generator) -> tuple[np.ndarray, People]:
    if rng.random() < 0.5:
        return cv2.flip(picture, 1), people.mirrored(picture.shape[1])
    return picture, people


def _tile(
    canvas: np.ndarray,
    region: Region,
    photo: Photo,
    *, statures_px: tuple[float, float],
    rng: np.random.Generator,
) -> People:
    """Draw a photo into a region of the canvas, about one of its people, and return the people in the region."""
    x0, y0, x1, y1 = region
    picture, people = _flipped(decode(photo.encoded), photo.people, rng)
    height, width = picture.shape[:2]
    # The photo should fill the region: on bars of plain colour, people would be too easy to find.
    cover = max((x1 - x0) / width, (y1 - y0) / height)
    subjects = np.flatnonzero(people.usable)
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    if len(subjects):
        subject = rng.choice(subjects)
        source = 0.8 * people.pelvis_px[subject] + 0.2 * np.array([width / 2, height / 2])
        scale = _log_uniform(*statures_px, rng) / max(float(people.statures_px[subject]), 20.0)
        scale = float(np.clip(scale, 0.95 * cover, 8.0))
        goal = middle + rng.normal(0, (0.14, 0.12)) * (x1 - x0, y1 - y0)
    else:
        source, scale, goal = np.array([width / 2, height / 2]), cover * rng.uniform(0.8, 1.4), middle
    angle = rng.normal(0, 0.06) if rng.random() < 0.95 else rng.uniform(-0.6, 0.6)
    matrix = similarity(source, goal, scale, angle=angle)
    _cover(matrix, (width, height), region)
    local = matrix.copy()
    local[:, 2] -= (x0, y0)
    canvas[y0:y1, x0:x1] = warp(picture, local, (y1 - y0, x1 - x0), border=tuple(rng.uniform(0, 255, 3)))
    return people.moved(matrix).clipped(region)


def _cover(matrix: np.ndarray, photo_size: tuple[int, int], region: Region) -> None:
    """Shift a similarity (2, 3) in place so that a photo of (width, height) fills the region as far as it can, tilt aside."""
    centre = matrix[:, :2] @ (np.array(photo_size) / 2) + matrix[:, 2]
    reach = np.array(photo_size) / 2 * np.sqrt(np.linalg.det(matrix[:, :2]))
    edges = np.sort([np.array(region[2:]) - reach, np.array(region[:2]) + reach], axis=0)
    matrix[:, 2] += np.clip(centre, *edges) - centre


def _columns(frame: Region, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return the x ranges of columns of uneven width that fill the frame."""
    widths = rng.uniform(0.7, 1.3, count)
    edges = np.round(
        frame[0] + np.concatenate([[0], np.cumsum(widths) / widths.sum()]) * (frame[2] - frame[0])
    ).astype(int)
    return [(int(a), int(b)) for a, b in pairwise(edges)]


def _mosaic(
    photos: Photos, scene_tile: float, size: Size, *, frame: Region, rng: np.random.Generator
) -> tuple[np.ndarray, People]:
    canvas = np.zeros((*size, 3), np.uint8)
    columns = _columns(frame, int(rng.choice([1, 2, 3, 4, 5], p=[0.08, 0.27, 0.3, 0.25, 0.1])), rng)
    top, bottom = frame[1], frame[3]
    rows = (
        [(top, bottom)]
        if rng.random() < 0.65
        else [(top, (top + bottom) // 2), ((top + bottom) // 2, bottom)]
    )
    groups = []
    for y0, y1 in rows:
        for x0, x1 in columns:
            photo = _pick(
                photos.scenes if photos.scenes and rng.random() < scene_tile else photos.portraits, rng
            )
            groups.append(_tile(canvas, (x0, y0, x1, y1), photo, statures_px=(0.45 * (y1 - y0), 1.5 * (y1 - y0)), rng=rng))
    return canvas, concatenate(groups)


def _place(photos: Photos, size: Size, rng: np.random.Generator) -> np.ndarray:
    """Return a part of a place without people that fills the canvas."""
    picture = decode(_pick(photos.empty, rng).encoded)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    height, width = picture.shape[:2]
    scale = max(size[1] / width, size[0] / height) * float(np.exp(rng.uniform(0, 0.7)))
    shift = [
        rng.uniform(min(0.0, goal - scale * side), 0.0)
        for side, goal in ((width, size[1]), (height, size[0]))
    ]
    return warp(
        np.ascontiguousarray(picture),
        similarity((0, 0), (shift[0], shift[1]), scale, angle=0.0),
        size,
        border=(128, 128, 128),
    )


def free_columns(photo: Photo, width: int, margin: int = 12) -> list[tuple[int, int]]:
    """Return the x ranges left and right of everyone in a photo of this width, by their boxes and a margin."""
    left = int(np.clip(photo.people.boxes[:, 0].min() - margin, 0, width))
    right = int(np.clip(photo.people.boxes[:, 2].max() + margin, 0, width))
    return [(0, left), (right, width)]


def _empty(photos: Photos, size: Size, frame: Region, *, rng: np.random.Generator) -> np.ndarray:
    """Return places without people: one, or columns of them beside the streets behind the people of portraits."""
    if not photos.portraits or rng.random() < 0.5:
        return _place(photos, size, rng)
    canvas = np.zeros((*size, 3), np.uint8)
    for x0, x1 in _columns(frame, int(rng.integers(2, 6)), rng):
        region = np.s_[frame[1] : frame[3], x0:x1]
        photo = _pick(photos.portraits, rng)
        picture = decode(photo.encoded)
        a, b = max(free_columns(photo, picture.shape[1]), key=lambda part: part[1] - part[0])
        if b - a < 48:
            canvas[region] = _place(photos, (frame[3] - frame[1], x1 - x0), rng)
            continue
        street = Photo(cv2.imencode(".bmp", picture[:, a:b])[1].tobytes(), no_people())
        canvas[region] = _place(Photos(empty=[street]), (frame[3] - frame[1], x1 - x0), rng)
    return canvas


def _pasted(
    photos: Photos, mixture: Mixture, size: Size, *, frame: Region, rng: np.random.Generator
) -> tuple[np.ndarray, People]:
    canvas = Canvas(_place(photos, size, rng) if photos.empty else np.full((*size, 3), 128, np.uint8))
    low, high = (stature * size[0] / 256 for stature in mixture.stature_px)
    count = int(rng.choice([1, 2, 3, 4, 5, 6, 8], p=[0.19, 0.23, 0.2, 0.15, 0.1, 0.08, 0.05]))
    typical = low * (high / low) ** (rng.random() ** mixture.small)
    # Nearer people are larger and stand in front.
    statures_px = np.sort(np.clip(typical * np.exp(rng.normal(0, 0.35, count)), low, high))
    things = int(rng.integers(1, 4)) if photos.empty and rng.random() < mixture.occluder else 0
    thing_before = rng.integers(0, count + 1, things)
    for index, stature_px in enumerate(statures_px):
        for _ in range(int((thing_before == index).sum())):
            canvas.paste_thing(
                _place(photos, size, rng), _log_uniform(0.4, 1.2, rng) * float(stature_px), frame, rng=rng
            )
        body = photos.bodies and (not photos.cutouts or rng.random() < mixture.body)
        _paste_person(
            canvas, _pick(photos.bodies if body else photos.cutouts, rng), float(stature_px), frame=frame, rng=rng
        )
    for _ in range(int((thing_before == count).sum())):
        canvas.paste_thing(
            _place(photos, size, rng), _log_uniform(0.3, 0.8, rng) * float(statures_px[-1]), frame, rng=rng
        )
    return canvas.picture, canvas.visible_people()


def _paste_person(
    canvas: Canvas, photo: Photo, stature_px: float, *, frame: Region, rng: np.random.Generator
) -> None:
    if photo.mask is None:
        layer = decode(photo.encoded, cv2.IMREAD_UNCHANGED)
    else:
        layer = np.dstack([decode(photo.encoded), decode(photo.mask, cv2.IMREAD_GRAYSCALE)])
    layer, person = _flipped(layer, photo.people, rng)
    x0, y0, x1, y1 = frame
    goal_x = rng.uniform(x0 + 0.03 * (x1 - x0), x0 + 0.97 * (x1 - x0))
    goal_y = y0 + np.clip(rng.normal(0.55, 0.17), 0.08, 1.1) * (y1 - y0)
    if stature_px > 0.8 * (y1 - y0):
        goal_y = max(
            goal_y, y0 + 0.45 * (y1 - y0)
        )  # of people who do not fit, the upper half is what cameras see
    angle = rng.normal(0, 0.1) if rng.random() < 0.93 else rng.uniform(-1.6, 1.6)
    scale = stature_px / max(float(person.statures_px[0]), 10.0)
    pelvis = (float(person.pelvis_px[0, 0]), float(person.pelvis_px[0, 1]))
    light = rng.uniform(0.8, 1.2) * rng.uniform(0.88, 1.12, 3)
    canvas.paste_person(layer, person, similarity(pelvis, (goal_x, goal_y), scale, angle=angle), light=light)
