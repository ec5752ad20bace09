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
        # (D, FILTERS, FRAMES) for each place of the newest frame in the ring of the filters.
        kernels = weights.kernels[LOOKAHEADS.index(lookahead)].transpose(2, 0, 1)
        self._kernels = [np.ascontiguousarray(np.roll(kernels, slot + 1, axis=2)) for slot in range(FRAMES)]
        self._frame = 0
        self._settled = 0  # people with a history
        # (frames, channels, N): the input of a layer, by frame modulo the ring's length.
        self._rings: List[np.ndarray] = [
            np.zeros(((TAPS - 1) * dilation, weight.shape[1] // TAPS, 0), np.float32)
            for dilation, (weight, _) in zip(DILATIONS, weights.dilated)
        ]
        # The last ring, (D, FRAMES, N), holds the filtered numbers, those of the newest frame included.
        self._rings.append(np.zeros((len(of.inputs), FRAMES, 0), np.float32))

    def keep(self, columns: np.ndarray) -> None:
        """Keep the people at some columns, given by ascending indices."""
        self._settled = int((columns < self._settled).sum())
        self._rings = [np.ascontiguousarray(ring[:, :, columns]) for ring in self._rings]

    def add(self, people: int) -> None:
        """Add people as the last columns; their next frame also stands for all earlier ones."""
        self._rings = [
            np.concatenate([ring, np.zeros((*ring.shape[:2], people), np.float32)], axis=2)
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
        outputs = small_products(weight, values)
        outputs += bias[:, None]
        mixed = self._mixed(outputs, inputs.take(self._of.inputs, axis=1).T)
        self._frame += 1
        self._settled = len(inputs)
        return mixed.T

    def _mixed(self, outputs: np.ndarray, newest: np.ndarray) -> np.ndarray:
        """Return outputs (O, N) with the filters of the numbers (D, N) mixed in."""
        ring, slot = self._rings[-1], self._frame % FRAMES
        if self._settled < newest.shape[1]:
            ring[:, :, self._settled :] = newest[:, None, self._settled :]
        ring[:, slot] = newest
        corrected = ring[:, (slot - self._lookahead) % FRAMES]
        return mix(outputs, corrected, self._kernels[slot] @ ring, of=self._of)

    def _taps(self, ring: np.ndarray, newest: np.ndarray, dilation: int) -> np.ndarray:
        """Return the three taps of a layer (3 C, N), and store the newest frame in place of the oldest."""
        slot = self._frame % len(ring)
        if self._settled < newest.shape[1]:
            ring[:, :, self._settled :] = newest[:, self._settled :]
        taps = np.concatenate([ring[slot], ring[slot - dilation], newest])
        ring[slot] = newest
        return taps


def _rectified(values: np.ndarray, bias: np.ndarray) -> np.ndarray:
    values += bias[:, None]
    return np.maximum(values, 0, out=values)
