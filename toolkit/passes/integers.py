"""How real numbers become integers: scales and zero points of activations, weights and biases."""

from __future__ import annotations

import numpy as np

from ..target import Scheme

Integers = tuple[np.ndarray, np.ndarray]
"""Scale and zero point."""

WEIGHT_LIMIT = 127
_SMALLEST_RANGE = 1e-6
# An int32 bias must leave room for the sum of products that is added to it.
_BIAS_LIMIT = 2**30


def activation_integers(low: float, high: float, scheme: Scheme) -> Integers:
    """Return scale and zero point, 0-d arrays, of an activation that takes values from `low` to `high`.

    Zero is always exact. The scale is rounded so that no integer stands for a number beyond the range, else a runtime
    may not drop a ReLU6 that the integers already imply.
    """
    low, high = min(low, 0.0), max(high, 0.0, min(low, 0.0) + _SMALLEST_RANGE)
    if scheme.symmetric:
        return _rounded_down(max(-low, high) / 127), np.zeros((), np.int8)
    scale = _rounded_down((high - low) / 255)
    zero_point = min(max(round(-low / float(scale)), 0), 255)
    if scheme.activations == "int8":
        return scale, np.asarray(zero_point - 128, np.int8)
    return scale, np.asarray(zero_point, np.uint8)


def _rounded_down(value: float) -> np.ndarray:
    rounded = np.float32(value)
    return np.asarray(np.nextafter(rounded, np.float32(0)) if float(rounded) > value else rounded)


def weight_scales(weight: np.ndarray, axis: int | None, bias: np.ndarray | None = None, input_scale: float | None = None) -> np.ndarray:
    """Return scales of a weight: one per index of `axis`, or 0-d where `axis` is None.

    With `bias` and `input_scale`, a scale is made as large as it takes for the bias to fit an int32 of scale
    input_scale * weight scale: a channel of tiny weights may have a large bias.
    """
    axes = tuple(i for i in range(weight.ndim) if i != axis)
    scales = np.abs(weight).max(axes).astype(np.float64) / WEIGHT_LIMIT
    if bias is not None and input_scale is not None:
        needed = np.abs(bias).astype(np.float64) / (input_scale * _BIAS_LIMIT)
        scales = np.maximum(scales, needed if axis is not None else needed.max())
    return np.maximum(scales, 1e-8).astype(np.float32)


def to_int8(weight: np.ndarray, scales: np.ndarray, axis: int | None) -> np.ndarray:
    """Return a weight as int8 in -127..127."""
    spread = scales if axis is None else scales.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])
    return np.clip(np.rint(weight / spread), -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int8)


def to_int32(bias: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return a bias as int32 of the given scales."""
    return np.rint(bias.astype(np.float64) / scales.astype(np.float64)).astype(np.int32)
