"""A canvas of pasted layers that tracks which people stay visible."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from .people import People, Region, concatenate, no_people, within
from .pictures import warp

# The pose of a person is unusable above this share of covered key points, or above one half with a covered
# centre.
COVERED_SHARE = 0.75


class Canvas:
    """A picture with pasted people and objects, and the index of the top layer at each pixel.

    Attributes:
        picture: (H, W, 3) uint8 BGR.
        top_layer: (H, W) int16, number of the visible layer; 0 is the background.
    """

    def __init__(self, picture: np.ndarray) -> None:
        self.picture = picture.copy()
        self.top_layer: np.ndarray = np.zeros(picture.shape[:2], np.int16)
        self._layers = 0
        self._people: list[tuple[int, People]] = []

    def paste_person(
        self, layer: np.ndarray, person: People, matrix: np.ndarray, *, light: np.ndarray
    ) -> None:
        """Paste a cut-out person.

        Args:
            layer: (h, w, 4) uint8 BGRA.
            person: its labels, one person.
            matrix: (2, 3) similarity from the layer to the canvas.
            light: (3,) factors of the colours.
        """
        height, width = self.picture.shape[:2]
        tall, wide = layer.shape[:2]
        corners = np.array([[0, 0, 1], [wide, 0, 1], [0, tall, 1], [wide, tall, 1]]) @ matrix.T
        x0, y0 = np.clip(np.floor(corners.min(0)).astype(int) - 2, 0, (width, height))
        x1, y1 = np.clip(np.ceil(corners.max(0)).astype(int) + 3, 0, (width, height))
        self._layers += 1
        self._people.append((self._layers, person.moved(matrix)))
        if x1 <= x0 or y1 <= y0:
            return
        local = matrix.copy()
        local[:, 2] -= (x0, y0)
        patch = warp(layer, local, (int(y1 - y0), int(x1 - x0)))
        alpha = cv2.GaussianBlur(patch[..., 3], (3, 3), 0)
        table = np.clip(np.arange(256)[:, None] * light, 0, 255).astype(np.uint8)[None]
        colours = cv2.LUT(np.ascontiguousarray(patch[..., :3]), table)
        self._blend(colours, alpha, (int(x0), int(y0), int(x1), int(y1)))

    def paste_object(
        self, texture: np.ndarray, size_px: float, frame: Region, *, rng: np.random.Generator
    ) -> None:
        """Paste an ellipse or a tilted rectangle of a texture at a random position.

        Args:
            texture: (H, W, 3) uint8 BGR, of the size of the canvas.
            size_px: approximate size.
            frame: region of the centre.
            rng: the only source of randomness.
        """
        shape = np.zeros(self.top_layer.shape, np.uint8)
        x0, y0, x1, y1 = frame
        centre = (float(rng.uniform(x0, x1)), float(y0 + (y1 - y0) * rng.uniform(0.3, 1.0)))
        sides = (size_px * rng.uniform(0.5, 1.6), size_px * rng.uniform(0.4, 1.0))
        box = (centre, sides, float(rng.normal(0, 12)))
        if rng.random() < 0.5:
            cv2.ellipse(shape, box, 255, -1)
        else:
            cv2.fillConvexPoly(shape, np.round(cv2.boxPoints(box)).astype(np.int32), 255)
        self._layers += 1
        height, width = self.top_layer.shape
        self._blend(texture, cv2.GaussianBlur(shape, (3, 3), 0), (0, 0, width, height))

    def _blend(self, colours: np.ndarray, alpha: np.ndarray, region: Region) -> None:
        x0, y0, x1, y1 = region
        below = self.picture[y0:y1, x0:x1]
        weight = alpha[..., None].astype(np.float32) / 255
        below[:] = (below + (colours.astype(np.float32) - below) * weight + 0.5).astype(np.uint8)
        self.top_layer[y0:y1, x0:x1][alpha > 127] = self._layers

    def visible_people(self) -> People:
        """Return all pasted people; those covered too much by later layers are marked unusable."""
        if not self._people:
            return no_people()
        return concatenate([self._mark_covered(layer, person) for layer, person in self._people])

    def _mark_covered(self, layer: int, person: People) -> People:
        height, width = self.top_layer.shape
        region = (0, 0, width, height)
        points = person.keypoints_px[0][(person.visible[0] > 0) & within(person.keypoints_px[0], region)]
        covered = float((self._layer_at(points) > layer).mean()) if len(points) else 0.0
        hidden = bool((self._layer_at(person.centres_px[within(person.centres_px, region)]) > layer).any())
        lost = covered > COVERED_SHARE or (covered > 0.5 and hidden)
        return replace(person, usable=person.usable & (not lost))

    def _layer_at(self, points_px: np.ndarray) -> np.ndarray:
        x, y = np.round(points_px).astype(int).T
        return self.top_layer[y, x]
