"""Scales and zero points of activations, weights and biases."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...ir.scheme import Activations

WEIGHT_LIMIT = 127
_SMALLEST_RANGE = 1e-6
# An int32 bias must leave room for the sum of products that is added to it.
_BIAS_LIMIT = 2**30
# Tolerance for a whole number of steps, in steps: above float32 noise, below rounding errors.
_STEP_TOLERANCE = 0.01
# Number of weights below which perhaps no two differ by exactly one step.
_FEW = 32


class QParams(NamedTuple):
    """Scale and zero point, 0-d arrays; the type of the zero point is that of the integers."""

    scale: np.ndarray
    zero_point: np.ndarray


def activation_qparams(low: float, high: float, activations: Activations) -> QParams:
    """Return scale and zero point of an activation with values from `low` to `high`.

    Zero is always exact. The scale is rounded down to keep every integer inside the range:
    a runtime then drops a ReLU6 that saturation implies.
    """
    low, high = min(low, 0.0), max(high, 0.0, min(low, 0.0) + _SMALLEST_RANGE)
    if activations.symmetric:
        return QParams(_rounded_down(max(-low, high) / 127), np.zeros((), np.int8))
    scale = _rounded_down((high - low) / 255)
    zero_point = min(max(round(-low / float(scale)), 0), 255)
    if activations.dtype == "int8":
        return QParams(scale, np.asarray(zero_point - 128, np.int8))
    return QParams(scale, np.asarray(zero_point, np.uint8))


def _rounded_down(value: float) -> np.ndarray:
    rounded = np.float32(value)
    return np.asarray(np.nextafter(rounded, np.float32(0)) if float(rounded) > value else rounded)


def weight_scales(
    weight: np.ndarray, axis: int | None, *, bias: np.ndarray | None = None, input_scale: float | None = None
) -> np.ndarray:
    """Return scales of a weight: one per index of `axis`, or 0-d where `axis` is None.

    The largest weight becomes 127, unless the weights are multiples of one step that fit int8 as they are.
    A network that was quantized before thus keeps its integers, without a second rounding.
    With `bias` and `input_scale`, a scale is raised until the bias fits an int32 of scale input_scale *
    weight scale: a channel of tiny weights may have a large bias.
    """
    rows = np.abs(weight[None] if axis is None else np.moveaxis(weight, axis, 0)).reshape(
        1 if axis is None else weight.shape[axis], -1
    )
    largest = rows.max(1).astype(np.float64)
    scales = largest / WEIGHT_LIMIT
    for steps in (np.broadcast_to(_step(rows), scales.shape), np.asarray([_step(row) for row in rows])):
        # The finest scale that the step is a multiple of: biases are rounded to it as well.
        parts = np.floor((WEIGHT_LIMIT + _STEP_TOLERANCE) * steps / np.maximum(largest, 1e-30))
        multiples = rows / np.where(parts > 0, steps, 1)[:, None]
        exact = (parts > 0) & (np.abs(multiples - np.rint(multiples)).max(1) < _STEP_TOLERANCE)
        scales = np.where(exact, steps / np.maximum(parts, 1), scales)
    if rows.shape[1] <= _FEW:
        undecided = np.flatnonzero(scales == largest / WEIGHT_LIMIT)
        scales[undecided] = _scales_by_trial(rows[undecided], largest[undecided])
    if bias is not None and input_scale is not None:
        needed = np.abs(bias).astype(np.float64) / (input_scale * _BIAS_LIMIT)
        scales = np.maximum(scales, needed if axis is not None else needed.max())
    return np.maximum(scales if axis is not None else scales[0], 1e-8).astype(np.float32)


def are_integers(weight: np.ndarray, axis: int | None) -> bool:
    """Return whether a weight needs no rounding: int8 multiples of one step, per index of `axis`."""
    scales = weight_scales(weight, axis)
    steps = weight / (
        scales if axis is None else scales.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])
    )
    return bool((np.abs(steps - np.rint(steps)) < _STEP_TOLERANCE).all())


def _step(weights: np.ndarray) -> float:
    """Return the candidate step of non-negative weights: their least difference, refined over all of them."""
    values = np.unique(weights)
    gaps = np.diff(values, prepend=0.0)
    gaps = gaps[gaps > _STEP_TOLERANCE / WEIGHT_LIMIT * values[-1]]
    if not len(gaps):
        return 0.0
    counts = np.rint(values / gaps.min())
    return float(np.dot(values, counts) / np.dot(counts, counts))


def _scales_by_trial(rows: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Return scales (N,) that make whole numbers up to 127 of rows (N, K) >= 0; else the largest is 127.

    Scales are tried one by one: of the nine weights of a depthwise kernel, perhaps no two differ by one step.
    """
    scales = largest / WEIGHT_LIMIT
    left = np.flatnonzero(largest > 0)
    for most in range(WEIGHT_LIMIT, 0, -1):
        multiples = rows[left] * (most / largest[left])[:, None]
        exact = (np.abs(multiples - np.rint(multiples)) < _STEP_TOLERANCE).all(1)
        scales[left[exact]] = largest[left[exact]] / most
        left = left[~exact]
    return scales


def to_int8(weight: np.ndarray, scales: np.ndarray, axis: int | None) -> np.ndarray:
    """Return a weight as int8 in -127..127."""
    spread = scales if axis is None else scales.reshape([-1 if i == axis else 1 for i in range(weight.ndim)])
    return np.clip(np.rint(weight / spread), -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int8)


def to_int32(bias: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return a bias as int32 of the given scales."""
    return np.rint(bias.astype(np.float64) / scales.astype(np.float64)).astype(np.int32)
