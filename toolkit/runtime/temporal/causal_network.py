"""The temporal network as a stream: one frame of all people in, their outputs out.

A causal stack of dilated convolutions (Pavllo et al., CVPR 2019). A ring buffer holds the last inputs of each
layer, so that every frame is computed once.
"""

from __future__ import annotations

from typing import List

import numpy as np

from ..decoding.kinematics import small_products
from .weights import DILATIONS, LOOKAHEADS, TAPS, TemporalWeights


class CausalNetwork:
    """Causal convolutions over N people in columns, who all advance by one frame at a time."""

    def __init__(self, weights: TemporalWeights, lookahead: int = 0) -> None:
        """Start without people; `lookahead` is one of LOOKAHEADS."""
        self._weights = weights
        self._output = weights.outputs[LOOKAHEADS.index(lookahead)]
        self._frame = 0
        # (frames, channels, N): the input of a layer, by frame modulo the ring's length.
        self._rings: List[np.ndarray] = [
            np.zeros(((TAPS - 1) * dilation, weight.shape[1] // TAPS, 0), np.float32)
            for dilation, (weight, _) in zip(DILATIONS, weights.dilated)
        ]

    def keep(self, which: np.ndarray) -> None:
        """Keep the people at some columns, by a mask or by indices."""
        self._rings = [np.ascontiguousarray(ring[:, :, which]) for ring in self._rings]

    def add(self, people: int) -> None:
        """Add people as the last columns; their next frame also stands for all earlier ones."""
        self._rings = [
            np.concatenate([ring, np.full((*ring.shape[:2], people), np.nan, np.float32)], axis=2)
            for ring in self._rings
        ]

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return outputs (N, O) of the next frame of all people (N, F)."""
        values = np.ascontiguousarray(inputs.T)
        dilated, pointwise = self._weights.dilated, self._weights.pointwise
        for index, (ring, (weight, bias)) in enumerate(zip(self._rings, dilated)):
            hidden = _rectified(small_products(weight, self._taps(ring, values, DILATIONS[index])), bias)
            if index:
                mixed, mixed_bias = pointwise[index - 1]
                hidden = values + _rectified(small_products(mixed, hidden), mixed_bias)
            values = hidden
        self._frame += 1
        weight, bias = self._output
        return (small_products(weight, values) + bias[:, None]).T

    def _taps(self, ring: np.ndarray, newest: np.ndarray, dilation: int) -> np.ndarray:
        """Return the three taps of a layer (3 C, N), and store the newest frame in place of the oldest."""
        slot = self._frame % len(ring)
        if ring.size and np.isnan(ring[slot, 0]).any():  # new people
            new = np.isnan(ring[slot, 0])
            ring[:, :, new] = newest[:, new]
        taps = np.concatenate([ring[slot], ring[slot - dilation], newest])
        ring[slot] = newest
        return taps


def _rectified(values: np.ndarray, bias: np.ndarray) -> np.ndarray:
    values += bias[:, None]
    return np.maximum(values, 0, out=values)
