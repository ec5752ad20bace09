"""Pictures as arrays: decoding, antialiased warping and photometric augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ...errors import PosecError

Encoded = bytes | Path
# Below this scale a bilinear warp skips source pixels, so the picture is first reduced by area averaging.
ALIASING_SCALE = 0.6


def decode(encoded: Encoded, flag: int = cv2.IMREAD_COLOR) -> np.ndarray:
    """Return the picture in a file or in its bytes: (H, W, 3) uint8 BGR, or as the OpenCV flag selects.

    Raises PosecError where it cannot be decoded.
    """
    data = encoded.read_bytes() if isinstance(encoded, Path) else encoded
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if picture is None:
        name = f"'{encoded}'" if isinstance(encoded, Path) else "a picture of the data folder"
        raise PosecError(f"cannot decode {name}; give a picture that OpenCV reads")
    return picture


def similarity(
    source: Sequence[float] | np.ndarray, goal: Sequence[float] | np.ndarray, scale: float, *, angle: float
) -> np.ndarray:
    """Return a similarity (2, 3) float64 that rotates and scales about `source` and moves it to `goal`.

    Args:
        source: (x, y) in the picture.
        goal: (x, y) of the same point afterwards.
        scale: factor.
        angle: radians, clockwise in the picture.
    """
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, np.asarray(goal, float) - linear @ np.asarray(source, float)])


def warp(
    picture: np.ndarray,
    matrix: np.ndarray,
    size: tuple[int, int],
    *,
    border: tuple[float, ...] = (0, 0, 0, 0),
) -> np.ndarray:
    """Return the picture under a similarity (2, 3) on a canvas of `size` (height, width).

    Pixel centres are at integer coordinates. Points follow the matrix exactly, also where the picture is
    reduced first. `border` is the colour outside the picture.
    """
    scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    if scale < ALIASING_SCALE:
        height, width = picture.shape[:2]
        small = max(1, round(width * scale * 1.2)), max(1, round(height * scale * 1.2))
        picture = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
        # Pixel i of the small picture is centred on (i + 0.5) * ratio - 0.5 of the large one.
        ratio = np.array([width / small[0], height / small[1]])
        matrix = np.column_stack([matrix[:, :2] * ratio, matrix[:, :2] @ (0.5 * ratio - 0.5) + matrix[:, 2]])
    return cv2.warpAffine(
        picture,
        matrix,
        (size[1], size[0]),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=border,
    )


def vary(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the picture (H, W, 3) uint8 with random exposure, tint, blur and noise, sometimes in grey."""
    levels = np.linspace(0, 1, 256) ** rng.uniform(0.75, 1.3) * 255 * rng.uniform(0.8, 1.2)
    levels = levels + rng.uniform(-15, 15)
    table = levels[:, None] * rng.uniform(0.92, 1.08, 3)
    picture = cv2.LUT(picture, np.clip(table, 0, 255).astype(np.uint8)[None])
    if rng.random() < 0.12:
        picture = np.repeat(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[..., None], 3, 2)
    if rng.random() < 0.25:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.3))
    if rng.random() < 0.35:
        noise = rng.standard_normal(picture.shape, np.float32) * np.float32(rng.uniform(1, 8))
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    return picture
