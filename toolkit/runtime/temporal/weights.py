"""Weights of the temporal network, checked against the specification of a pose network."""

from __future__ import annotations

from typing import Dict, List, Mapping, NamedTuple, Tuple

import numpy as np

from ..pose import PoseSpec
from .correction import output_size, sizes
from .filters import FILTERS

LOOKAHEADS = (0, 1, 2, 4, 8)  # frames; one output layer each
TAPS = 3
DILATIONS = (1, 3, 9)  # of the input layer and of the blocks
FRAMES = 1 + sum((TAPS - 1) * dilation for dilation in DILATIONS)  # that an output depends on
MOST_CHANNELS = 1024
_LARGEST = 1e4  # of a weight


class TemporalWeights(NamedTuple):
    """Weights (outputs, inputs) and biases (outputs,), float32; taps are side by side, the oldest first.

    Attributes:
        dilated: of the input layer and of the blocks, (C, 3 inputs).
        pointwise: of the blocks, (C, C).
        outputs: one layer for each of LOOKAHEADS.
        kernels: for each of LOOKAHEADS, (FILTERS, FRAMES, D), the oldest frame first; see `filters`.
    """

    dilated: List[Tuple[np.ndarray, np.ndarray]]
    pointwise: List[Tuple[np.ndarray, np.ndarray]]
    outputs: List[Tuple[np.ndarray, np.ndarray]]
    kernels: List[np.ndarray]


def array_shapes(spec: PoseSpec, channels: int) -> Dict[str, Tuple[int, ...]]:
    """Return the shapes of the arrays of `temporal.npz` by name."""
    inputs, outputs = sizes(spec)
    shapes: Dict[str, Tuple[int, ...]] = {}
    for index in range(len(DILATIONS)):
        shapes[f"dilated_{index}"] = (channels, TAPS * (channels if index else inputs))
        if index:
            shapes[f"pointwise_{index}"] = (channels, channels)
    for lookahead in LOOKAHEADS:
        shapes[f"output_{lookahead}"] = (outputs, channels)
    kernels = {f"kernel_{lookahead}": (FILTERS, FRAMES, output_size(spec) - 1) for lookahead in LOOKAHEADS}
    return {**shapes, **{f"{name}_bias": shape[:1] for name, shape in shapes.items()}, **kernels}


def temporal_weights(arrays: Mapping[str, np.ndarray], spec: PoseSpec) -> TemporalWeights:
    """Return the weights in the arrays of `temporal.npz`, of any floating-point type.

    Raises ValueError if an array is missing, not finite, or of another shape than the specification needs.
    """
    channels = len(arrays["output_0"].T) if getattr(arrays.get("output_0"), "ndim", 0) == 2 else 0
    if not 1 <= channels <= MOST_CHANNELS:
        raise ValueError(f"temporal stage: output_0 must be a matrix of 1 to {MOST_CHANNELS} columns")
    shapes = array_shapes(spec, channels)
    if set(arrays) != set(shapes):
        names = ", ".join(sorted(set(shapes) ^ set(arrays)))
        raise ValueError(f"temporal stage: arrays missing or unknown: {names:.200}")
    checked = {name: _checked(name, arrays[name], shape) for name, shape in shapes.items()}

    def layer(name: str) -> Tuple[np.ndarray, np.ndarray]:
        return checked[name], checked[f"{name}_bias"]

    blocks = range(len(DILATIONS))
    return TemporalWeights(
        [layer(f"dilated_{index}") for index in blocks],
        [layer(f"pointwise_{index}") for index in blocks[1:]],
        [layer(f"output_{lookahead}") for lookahead in LOOKAHEADS],
        [checked[f"kernel_{lookahead}"] for lookahead in LOOKAHEADS],
    )


def _checked(name: str, values: np.ndarray, shape: Tuple[int, ...]) -> np.ndarray:
    if values.dtype.kind != "f" or values.shape != shape:
        raise ValueError(
            f"temporal stage: {name} must hold floating-point numbers of shape {shape}, "
            f"got {values.dtype} {values.shape}"
        )
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, np.float32)
    if not np.abs(values).max(initial=0) <= _LARGEST:  # also false for NaN
        raise ValueError(
            f"temporal stage: {name} holds NaN, infinity or more than {_LARGEST:g}; train it again"
        )
    return values
