"""The exposure of a camera: brightness, contrast, white balance and noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Exposure:
    """Settings of a camera.

    Attributes:
        gamma: exponent of the values in 0..1.
        gains: (3,) factors of blue, green and red.
        noise: standard deviation of the noise of a value in 0..1.
    """

    gamma: float
    gains: np.ndarray
    noise: float

    def apply(self, picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the picture (H, W, 3) uint8 as this camera takes it, with new noise."""
        values = (picture.astype(np.float32) / 255) ** self.gamma * self.gains
        values += rng.normal(0, self.noise, picture.shape)
        return np.clip(255 * values + 0.5, 0, 255).astype(np.uint8)


def random_exposure(rng: np.random.Generator) -> Exposure:
    """Return a random exposure."""
    gamma, gain, balance = rng.uniform(0.75, 1.1), rng.uniform(0.9, 1.1), rng.normal(0, 0.03, 3)
    return Exposure(gamma, gain * (1 + balance), rng.uniform(0.0, 0.012))
