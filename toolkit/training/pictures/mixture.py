"""Settings of the picture composition, and the random draws that its parts share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from .people import People, Region
from .photos import Photo

Size = tuple[int, int]


@dataclass(frozen=True)
class Mixture:
    """Probabilities of what is composed; the first four are normalised to a sum of 1.

    Attributes:
        mosaic, scene, pasted, empty: shares of the four kinds of pictures.
        scene_tile: share of scenes among the tiles of a mosaic; all others are portraits.
        body: share of rendered bodies among the pasted people; all others are cut out of photos.
        framed: share of pictures with grey bars, as from a letterbox.
        occluder: share of pasted pictures with objects in front of people.
        small: 1 draws statures of pasted people log-uniformly; above 1, small people are more frequent.
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


def random_photo(photos: Sequence[Photo], rng: np.random.Generator) -> Photo:
    """Return one of the photos."""
    return photos[int(rng.integers(len(photos)))]


def log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    """Return a log-uniform number between low and high."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def random_flip(picture: np.ndarray, people: People, rng: np.random.Generator) -> tuple[np.ndarray, People]:
    """Return a picture and its people, mirrored with probability 0.5."""
    if rng.random() < 0.5:
        return cv2.flip(picture, 1), people.mirrored(picture.shape[1])
    return picture, people


def random_columns(frame: Region, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Return the x ranges of columns of random width that fill the frame."""
    widths = rng.uniform(0.7, 1.3, count)
    shares = np.concatenate([[0], np.cumsum(widths) / widths.sum()])
    edges = np.round(frame[0] + shares * (frame[2] - frame[0])).astype(int)
    return [(int(a), int(b)) for a, b in pairwise(edges)]
