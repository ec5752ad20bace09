"""Layers pasted over a picture, and who is still to be seen under them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from .people import People, Region, concatenate, no_people, within
from .pictures import warp

# A person with more of the keypoints covered than this (or than half of them and the centre) is somebody's guess.
COVERED_SHARE = 0.75


class Canvas:
    """A picture that people and things are pasted on, and which layer shows at each pixel.

    Attributes:
        picture: (H, W, 3) uint8 BGR.
        top_layer: (H, W) int16, number of the layer seen there; 0 is the ground.
    """

    def __init__(self, picture: np.ndarray) -> None:
        self.picture = picture.copy()
        self.top_layer: np.ndarray = np.zeros(picture.shape[:2], np.int16)
        self._layers = 0
        self._people: list[tuple[int, People]] = []

    def paste_person(self, layer: np.ndarray, person: People, matrix: np.ndarray, *, light: np.ndarray) -> None:
        """Paste a cut-out (h, w, 4) uint8 under a similarity (2, 3), its colours times `light` (3,)."""
        height, width = self.picture.shape[:2]
        corners = (
            np.array(
                [
                    [0, 0, 1],
                    [layer.shape[1], 0, 1],
                    [0, layer.shape[0], 1],
                    [layer.shape[1], layer.shape[0], 1],
                ]
            )
            @ matrix.T
        )
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
        colours = cv2.LUT(
            np.ascontiguousarray(patch[..., :3]),
            np.clip(np.arange(256)[:, None] * light, 0, 255).astype(np.uint8)[None],
        )
        self._blend(colours, alpha, (int(x0), int(y0), int(x1), int(y1)))

    def paste_thing(
        self, texture: np.ndarray, size_px: float, frame: Region, *, rng: np.random.Generator
    ) -> None:
        """Cover an ellipse or a tilted rectangle of about `size_px` somewhere in the frame with part of a texture (H, W, 3)."""
        shape = np.zeros(self.top_layer.shape, np.uint8)
        x0, y0, x1, y1 = frame
        centre = (float(rng.uniform(x0, x1)), float(y0 + (y1 - y0) * rng.uniform(0.3, 1.0)))
        box = (
            centre,
            (size_px * rng.uniform(0.5, 1.6), size_px * rng.uniform(0.4, 1.0)),
            float(rng.normal(0, 12)),
        )
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
        """Return everyone pasted, unusable where too much is covered by later layers."""
        return (
            concatenate([self._judged(layer, person) for layer, person in self._people])
            if self._people
            else no_people()
        )

    def _judged(self, layer: int, person: People) -> People:
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
