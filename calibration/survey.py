"""Statistics of calibration frames: people, their sizes and places, light, and a perceptual hash."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass

import cv2
import numpy as np

from toolkit.device.matching import heights_px
from toolkit.ir.float_engine import float_estimator
from toolkit.ir.graph import Graph
from toolkit.runtime.pose import PoseFrame, Skeleton

from .frames import picture_sha256

Progress = Callable[[int, int], None]
# The perceptual hash keeps the _WAVES x _WAVES lowest frequencies of a _THUMB x _THUMB picture.
_WAVES, _THUMB = 8, 32
HEAD = "head"


@dataclass(frozen=True)
class PerceptualHash:
    """Perceptual hash of a picture, robust to its size and compression.

    Attributes:
        sha256: see `picture_sha256`; equal for equal pixels.
        bits: perceptual hash of 63 bits.
        thumb: (1024,) gray picture of 32 x 32, zero mean and unit length.
    """

    sha256: str
    bits: int
    thumb: np.ndarray

    def resembles(self, other: PerceptualHash, bits: int = 12, correlation: float = 0.95) -> bool:
        """Return whether two pictures are equal up to size, compression and a little brightness."""
        if self.sha256 == other.sha256:
            return True
        return (self.bits ^ other.bits).bit_count() <= bits and float(self.thumb @ other.thumb) >= correlation

    def shares_view(self, other: PerceptualHash, correlation: float = 0.7) -> bool:
        """Return whether one still camera may have taken both pictures; people change them little."""
        return float(self.thumb @ other.thumb) >= correlation


@dataclass(frozen=True)
class FrameStats:
    """Statistics of one frame, with the float network's people.

    Attributes:
        picture_hash: see PerceptualHash.
        light: mean gray level, 0..255.
        means: mean of blue, green and red, 0..255.
        deviations: their standard deviations.
        scores: (N,) of the people.
        heights: (N,) of the people, as fractions of the picture's height.
        centres: (N, 2) of the people, x and y as fractions of the picture.
        warmth: (N,) mean red minus mean blue of their heads, -255..255; NaN for a head outside the picture.
    """

    picture_hash: PerceptualHash
    light: float
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    scores: np.ndarray
    heights: np.ndarray
    centres: np.ndarray
    warmth: np.ndarray


def perceptual_hash(picture: np.ndarray) -> PerceptualHash:
    """Return the hash of a BGR picture (H, W, 3) uint8: Zauner's DCT hash (2010) without the constant."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    thumb = cv2.resize(grey, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA).astype(np.float32)
    waves = cv2.dct(thumb)[:_WAVES, :_WAVES].ravel()[1:]
    bits = int("".join("1" if wave else "0" for wave in waves > np.median(waves)), 2)
    centred = thumb.ravel() - thumb.mean()
    return PerceptualHash(picture_sha256(picture), bits, centred / max(float(np.linalg.norm(centred)), 1e-6))


def survey(graph: Graph, frames: Iterable[np.ndarray], progress: Progress | None = None) -> list[FrameStats]:
    """Run the float network over frames, BGR (H, W, 3) uint8, and return the statistics of each, in order."""
    estimator, scenes = float_estimator(graph), []
    count = len(frames) if isinstance(frames, Sized) else 0
    for picture in frames:
        people = estimator(picture)
        height, width = picture.shape[:2]
        means, deviations = cv2.meanStdDev(picture)
        light = float(np.dot(means.ravel(), (0.114, 0.587, 0.299)))
        scenes.append(
            FrameStats(
                perceptual_hash(picture),
                light,
                tuple(means.ravel()),
                tuple(deviations.ravel()),
                people.scores,
                heights_px(people) / height,
                people.centres_px / np.asarray((width, height), np.float32),
                _warmth(picture, people, graph.spec.skeleton),
            )
        )
        if progress:
            progress(len(scenes), max(count, len(scenes)))
    return scenes


def _warmth(picture: np.ndarray, people: PoseFrame, skeleton: Skeleton) -> np.ndarray:
    """Return (N,) mean red minus mean blue of each head, in a square of a twelfth of the person's height."""
    found = np.full(len(people), np.nan)
    if HEAD not in skeleton.names:
        return found
    for index, (point, height) in enumerate(
        zip(people.joints_px[:, skeleton.index(HEAD)], heights_px(people), strict=True)
    ):
        half = max(2.0, height / 24)
        (left, top), (right, bottom) = (
            np.maximum(point - half, 0).astype(int),
            np.maximum(point + half + 1, 0).astype(int),
        )
        patch = picture[top:bottom, left:right]
        if patch.size:
            found[index] = float(patch[..., 2].mean()) - float(patch[..., 0].mean())
    return found
