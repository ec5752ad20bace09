"""What is on calibration frames: how many people, how large, where, how bright, and what the picture looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass

import cv2
import numpy as np

from toolkit.device.matching import heights_px
from toolkit.ir.graph import Graph
from toolkit.runtime.pose import PoseFrame, Skeleton
from toolkit.verification.float_estimator import FloatEstimator

from .frames import picture_sha256

Progress = Callable[[int, int], None]
# The perceptual hash keeps LOOK x LOOK of the lowest frequencies of a THUMB x THUMB picture.
_LOOK, _THUMB = 8, 32
HEAD = "head"


@dataclass(frozen=True)
class Look:
    """What a picture looks like, whatever its size and compression.

    Attributes:
        sha256: see `picture_sha256`; equal for equal pixels.
        bits: perceptual hash of 63 bits.
        thumb: (1024,) grey picture of 32 x 32, zero mean and unit length.
    """

    sha256: str
    bits: int
    thumb: np.ndarray

    def resembles(self, other: Look, bits: int = 12, correlation: float = 0.95) -> bool:
        """Return whether two pictures show the same: equal, rescaled, compressed again, or a little brighter."""
        if self.sha256 == other.sha256:
            return True
        return (self.bits ^ other.bits).bit_count() <= bits and float(self.thumb @ other.thumb) >= correlation

    def shares_view(self, other: Look, correlation: float = 0.7) -> bool:
        """Return whether two pictures may be of one camera that stood still: another person does not change the whole."""
        return float(self.thumb @ other.thumb) >= correlation


@dataclass(frozen=True)
class Scene:
    """One frame as the float network sees it.

    Attributes:
        look: see Look.
        light: mean grey level, 0..255.
        means: mean of blue, green and red, 0..255.
        deviations: their standard deviations.
        scores: (N,) of the people.
        heights: (N,) of the people, as a fraction of the picture's height.
        centres: (N, 2) of the people, x and y as fractions of the picture.
        warmth: (N,) how much redder than blue their heads are, -255..255; NaN where the head is outside.
    """

    look: Look
    light: float
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    scores: np.ndarray
    heights: np.ndarray
    centres: np.ndarray
    warmth: np.ndarray


def look(picture: np.ndarray) -> Look:
    """Return what a BGR picture (H, W, 3) uint8 looks like; the bits are the DCT hash of Zauner (2010), without its constant term."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    thumb = cv2.resize(grey, (_THUMB, _THUMB), interpolation=cv2.INTER_AREA).astype(np.float32)
    waves = cv2.dct(thumb)[:_LOOK, :_LOOK].ravel()[1:]
    bits = int("".join("1" if wave else "0" for wave in waves > np.median(waves)), 2)
    centred = thumb.ravel() - thumb.mean()
    return Look(picture_sha256(picture), bits, centred / max(float(np.linalg.norm(centred)), 1e-6))


def survey(graph: Graph, frames: Iterable[np.ndarray], progress: Progress | None = None) -> list[Scene]:
    """Run the float network over frames, BGR (H, W, 3) uint8, and return what is on each, in order."""
    estimator, scenes = FloatEstimator(graph), []
    count = len(frames) if isinstance(frames, Sized) else 0
    for picture in frames:
        people = estimator(picture)
        height, width = picture.shape[:2]
        means, deviations = cv2.meanStdDev(picture)
        light = float(np.dot(means.ravel(), (0.114, 0.587, 0.299)))
        scenes.append(Scene(look(picture), light, tuple(means.ravel()), tuple(deviations.ravel()), people.scores,
                            heights_px(people) / height, people.centres_px / np.asarray((width, height), np.float32),
                            _warmth(picture, people, graph.spec.skeleton)))  # fmt: skip
        if progress:
            progress(len(scenes), max(count, len(scenes)))
    return scenes


def _warmth(picture: np.ndarray, people: PoseFrame, skeleton: Skeleton) -> np.ndarray:
    """Return (N,) mean red minus mean blue of a square of a twelfth of the person's height about each head."""
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
