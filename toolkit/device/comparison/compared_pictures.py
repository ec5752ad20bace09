"""Pictures with the people of the float network and of the compiled one, for the viewer of the report."""

from __future__ import annotations

import base64
import hashlib
from typing import Any, NamedTuple

import cv2
import numpy as np

from ...runtime.files.pictures import encode_picture
from ...runtime.pose import PoseFrame, Skeleton
from ..matching import match_people

MOST_PICTURES = 6
MOST_PEOPLE = 20  # of a picture
LONGEST_SIDE = 640
JPEG_QUALITY = 75


class Compared(NamedTuple):
    """A picture (H, W, 3) uint8 BGR, and the people that both networks found in it."""

    picture: np.ndarray
    floating: PoseFrame
    compiled: PoseFrame


class ComparedPictures:
    """Keeps up to `most` pictures, those with the largest moves of people."""

    def __init__(self, skeleton: Skeleton, most: int = MOST_PICTURES) -> None:
        """Start without pictures; `skeleton` is that of the people."""
        self._skeleton, self._most = skeleton, most
        self._entries: list[_Entry] = []

    def add(self, compared: Compared) -> None:
        """Consider a picture; one without people is left out."""
        if not len(compared.floating) and not len(compared.compiled):
            return
        pairs = match_people(compared.compiled, compared.floating, self._skeleton)
        self._entries.append(_Entry(compared, pairs))
        self._entries.sort(key=lambda entry: -entry.severity())
        del self._entries[self._most :]

    def to_list(self) -> list[dict[str, Any]]:
        """Return the pictures for a result file, see `Result.compared`.

        Each has `sha256` and `jpeg` (base64) of the reduced picture, its `size` (height, width), `joints`
        (names), `bones` (pairs of joints), the people of both networks as `float` and `compiled` (`score`,
        `joints_px` of the reduced picture, `joints_mm` pelvis-relative), and `pairs` of matched people
        (float, compiled).
        """
        return [entry.to_dict(self._skeleton) for entry in self._entries]


class _Entry(NamedTuple):
    """A picture, and its pairs (compiled, float)."""

    of: Compared
    pairs: list[tuple[int, int]]

    def severity(self) -> float:
        """Return the largest mean distance of a matched person in mm, and 100 mm for every other person."""
        floating, compiled = self.of.floating, self.of.compiled
        moves = [
            np.linalg.norm(compiled.joints_mm[mine] - floating.joints_mm[theirs], axis=1).mean()
            for mine, theirs in self.pairs
        ]
        others = len(floating) + len(compiled) - 2 * len(self.pairs)
        return float(max(moves, default=0.0)) + 100.0 * others

    def to_dict(self, skeleton: Skeleton) -> dict[str, Any]:
        """Return the entry for a JSON file."""
        picture = self.of.picture
        scale = min(1.0, LONGEST_SIDE / max(picture.shape[:2]))
        if scale < 1:
            size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        jpeg = encode_picture(picture, ".jpg", JPEG_QUALITY)
        pairs = [[b, a] for a, b in self.pairs if a < MOST_PEOPLE and b < MOST_PEOPLE]
        return {
            "sha256": hashlib.sha256(jpeg).hexdigest(),
            "jpeg": base64.b64encode(jpeg).decode(),
            "size": list(picture.shape[:2]),
            "joints": list(skeleton.names),
            "bones": [[skeleton.parents[joint], joint] for joint in skeleton.bones],
            "float": _people(self.of.floating, scale),
            "compiled": _people(self.of.compiled, scale),
            "pairs": pairs,
        }


def _people(people: PoseFrame, scale: float) -> list[dict[str, Any]]:
    """Return rounded joints of at most `MOST_PEOPLE` people; points are limited to the range of a file."""
    limit = 1e6
    return [
        {
            "score": round(float(people.scores[index]), 3),
            "joints_px": np.clip(people.joints_px[index] * scale, -limit, limit).round(1).tolist(),
            "joints_mm": np.clip(people.joints_mm[index], -limit, limit).round().astype(int).tolist(),
        }
        for index in range(min(len(people), MOST_PEOPLE))
    ]
