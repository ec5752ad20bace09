"""The temporal network as a stream: one frame of all people in, their outputs out.

A causal stack of dilated convolutions (Pavllo et al., CVPR 2019). A ring buffer holds the last inputs of each
layer, so that every frame is computed once.
"""

from __future__ import annotations

from typing import List

import numpy as np

from ..decoding.kinematics import small_products
from .filters import Filtered, mix
from .weights import DILATIONS, FRAMES, LOOKAHEADS, TAPS, TemporalWeights


class CausalNetwork:
    """Causal convolutions over N people in columns, who all advance by one frame at a time."""

    def __init__(self, weights: TemporalWeights, of: Filtered, lookahead: int = 0) -> None:
        """Start without people; `of` are the filtered numbers, `lookahead` one of LOOKAHEADS."""
        self._weights, self._of, self._lookahead = weights, of, lookahead
        self._output = weights.outputs[LOOKAHEADS.index(lookahead)]
        self._kernels = weights.kernels[LOOKAHEADS.index(lookahead)]
        self._frame = 0
        # (frames, channels, N): the input of a layer, by frame modulo the ring's length.
        self._rings: List[np.ndarray] = [
            np.zeros(((TAPS - 1) * dilation, weight.shape[1] // TAPS, 0), np.float32)
            for dilation, (weight, _) in zip(DILATIONS, weights.dilated)
        ]
        # The last ring holds the filtered numbers of FRAMES frames, the newest included.
        self._rings.append(np.zeros((FRAMES, len(of.inputs), 0), np.float32))

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
        """Return corrections (N, D + 1), see `filters.mix`, of the next frame of all people (N, F)."""
        values = np.ascontiguousarray(inputs.T)
        dilated, pointwise = self._weights.dilated, self._weights.pointwise
        for index, (ring, (weight, bias)) in enumerate(zip(self._rings, dilated)):
            hidden = _rectified(small_products(weight, self._taps(ring, values, DILATIONS[index])), bias)
            if index:
                mixed, mixed_bias = pointwise[index - 1]
                hidden = values + _rectified(small_products(mixed, hidden), mixed_bias)
            values = hidden
        weight, bias = self._output
        outputs = (small_products(weight, values) + bias[:, None]).T
        mixed = self._mixed(outputs, inputs[:, self._of.inputs].T)
        self._frame += 1
        return mixed

    def _mixed(self, outputs: np.ndarray, newest: np.ndarray) -> np.ndarray:
        """Return outputs (N, O) with the filters of the numbers (D, N) mixed in."""
        ring, slot = self._rings[-1], self._frame % FRAMES
        _fill_new(ring, slot, newest)
        ring[slot] = newest
        order = np.arange(slot + 1, slot + 1 + FRAMES) % FRAMES  # the oldest first
        ages = np.empty(FRAMES, int)
        ages[order] = np.arange(FRAMES)
        slow = np.einsum("fkd,kdn->fnd", self._kernels[:, ages], ring)
        corrected = ring[(slot - self._lookahead) % FRAMES].T
        return mix(outputs, corrected, slow, of=self._of)

    def _taps(self, ring: np.ndarray, newest: np.ndarray, dilation: int) -> np.ndarray:
        """Return the three taps of a layer (3 C, N), and store the newest frame in place of the oldest."""
        slot = self._frame % len(ring)
        _fill_new(ring, slot, newest)
        taps = np.concatenate([ring[slot], ring[slot - dilation], newest])
        ring[slot] = newest
        return taps


def _fill_new(ring: np.ndarray, slot: int, newest: np.ndarray) -> None:
    """Fill the columns of new people with their first frame."""
    if ring.size and np.isnan(ring[slot, 0]).any():
        new = np.isnan(ring[slot, 0])
        ring[:, :, new] = newest[:, new]


def _rectified(values: np.ndarray, bias: np.ndarray) -> np.ndarray:
    values += bias[:, None]
    return np.maximum(values, 0, out=values)
