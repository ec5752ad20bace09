"""Embeddings to 3D joints: decode, rotate, place in front of the camera. Pure numpy."""

from __future__ import annotations

from functools import lru_cache
from typing import List, Mapping, Tuple

import numpy as np

from ..pose import Skeleton

Layers = List[Tuple[np.ndarray, np.ndarray]]
LEAKY_SLOPE = 0.2
EPSILON = 1e-8
LARGEST_OUTPUT = 1e15  # of a decoder; its square fits into float32
_TINY = 1e-30
# (3, 9): a vector times this, as (3, 3), times another vector is their cross product.
_CROSS = np.array(
    [[0, 0, 0, 0, 0, -1, 0, 1, 0], [0, 0, 1, 0, 0, 0, -1, 0, 0], [0, -1, 0, 1, 0, 0, 0, 0, 0]], np.float32
)
_HALF_TURN = np.array([-1, -1, 1], np.float32)
_MOST_WEIGHTS, _MOST_PRODUCTS = 8192, 262144


def layers(weights: Mapping[str, np.ndarray]) -> Layers:
    """Return the decoder's fully connected layers from `weight_0`, `bias_0`, `weight_1`, … in order.

    Weights are (outputs, inputs), biases (outputs,), of any floating-point type; returned as float32.

    Raises ValueError if the sizes do not chain, or a value is not finite.
    """
    found: Layers = []
    while f"weight_{len(found)}" in weights and f"bias_{len(found)}" in weights:
        weight, bias = (
            _finite(f"{name}_{len(found)}", weights[f"{name}_{len(found)}"]) for name in ("weight", "bias")
        )
        if (
            weight.ndim != 2
            or bias.shape != weight.shape[:1]
            or (found and weight.shape[1] != found[-1][0].shape[0])
        ):
            raise ValueError(
                f"pose decoder: weight_{len(found)} {weight.shape} and bias {bias.shape} "
                "do not fit the layer before"
            )
        found.append((weight, bias))
    if not found or len(weights) != 2 * len(found):
        raise ValueError(
            "pose decoder needs weight_0, bias_0, weight_1, …; "
            f"found {', '.join(sorted(weights))[:200] or 'nothing'}"
        )
    largest = np.ones(found[0][0].shape[1])
    for weight, bias in found:
        largest = np.abs(weight).astype(np.float64) @ largest + np.abs(bias)
    if not np.all(largest < LARGEST_OUTPUT):
        raise ValueError(
            "pose decoder: its arithmetic overflows on embeddings in [-1, 1]; "
            "train or export the decoder again"
        )
    return found


def _finite(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "f":
        raise ValueError(f"pose decoder: {name} must hold floating-point numbers, got {values.dtype}")
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, np.float32)
    if not np.isfinite(values).all():
        raise ValueError(f"pose decoder: {name} holds NaN or infinity; train or export the decoder again")
    return values


def decode_embeddings(embeddings: np.ndarray, decoder: Layers) -> np.ndarray:
    """Return the unit bone directions of pose embeddings.

    Args:
        embeddings: (N, E) float32 in [-1, 1].
        decoder: see `layers`; leaky ReLU between them.

    Returns:
        (N, B, 3) float32 in the torso frame, B bones in the skeleton's order.
    """
    # One column per person, so that BLAS reads the weights in memory order.
    values = embeddings.T
    for weight, bias in decoder[:-1]:
        values = small_products(weight, values)
        values += bias[:, None]
        values = np.maximum(values, LEAKY_SLOPE * values)
    weight, bias = decoder[-1]
    directions = (small_products(weight, values) + bias[:, None]).reshape(-1, 3, len(embeddings))
    lengths = np.sqrt(np.add.reduce(directions * directions, axis=1, keepdims=True))
    return (directions / np.maximum(lengths, EPSILON)).transpose(2, 0, 1)


def small_products(weight: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return weight (M, L) @ columns (..., L, N), in blocks of rows that BLAS computes on the calling thread.

    BLAS libraries start threads for larger products, which then spin on cores that the engine needs.
    OpenBLAS uses one thread below 2304 * 4 weights for one column and below 65536 * 4 multiplications
    (interface/gemv.c and gemm.c). Numpy multiplies a stack of blocks in one call.
    """
    rows, inner = weight.shape
    most = min(_MOST_WEIGHTS, _MOST_PRODUCTS // max(columns.shape[-1], 1)) // inner
    if rows <= most:
        return weight @ columns
    block = next((size for size in range(most, 0, -1) if rows % size == 0), 1)
    product = weight.reshape(-1, block, inner) @ columns[..., None, :, :]
    return product.reshape(*columns.shape[:-2], rows, columns.shape[-1])


def forward_kinematics(directions: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return joints (N, J, 3) in mm, root at 0, from unit bone directions (N, B, 3)."""
    paths = paths_mm(skeleton)
    by_bone = directions.transpose(1, 0, 2).reshape(paths.shape[1], -1)
    return (paths @ by_bone).reshape(len(paths), -1, 3).transpose(1, 0, 2)


@lru_cache(maxsize=8)
def paths_mm(skeleton: Skeleton) -> np.ndarray:
    """Return (J, B) float32: the length of bone b if it lies between the root and joint j, else 0."""
    paths = np.zeros((len(skeleton.names), len(skeleton.bones)), np.float32)
    for bone, joint in enumerate(skeleton.bones):
        paths[joint] = paths[skeleton.parents[joint]]
        paths[joint, bone] = skeleton.bone_lengths_mm[bone]
    return paths


@lru_cache(maxsize=8)
def torso_mm(skeleton: Skeleton) -> float:
    """Return the length of the bones from a skeleton's root to its neck."""
    length_mm, joint = 0.0, skeleton.index("neck")
    while joint != skeleton.root:
        length_mm += skeleton.bone_lengths_mm[skeleton.bones.index(joint)]
        joint = skeleton.parents[joint]
    return length_mm


def rotation_from_6d(numbers: np.ndarray) -> np.ndarray:
    """Return rotation matrices (N, 3, 3) from 6 numbers: y axis, then x axis (Zhou et al., CVPR 2019)."""
    y, x = numbers[:, :3], numbers[:, 3:]
    axes = np.empty((len(numbers), 3, 3), np.float32)
    axes[:, 1] = y
    axes[:, 2] = cross(x, y[..., None])[..., 0]
    last = axes[:, 1:]
    last /= np.maximum(np.sqrt(np.add.reduce(last * last, axis=2, keepdims=True)), _TINY)
    axes[:, 0] = cross(last[:, 0], last[:, 1, :, None])[..., 0]
    return axes.transpose(0, 2, 1)


def cross(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the cross products (N, 3, M) of vectors (N, 3) with M others each (N, 3, M)."""
    return (one @ _CROSS).reshape(-1, 3, 3) @ others


def ray_rotation(rays: np.ndarray) -> np.ndarray:
    """Return the shortest rotations (N, 3, 3) from the optical axis (0, 0, 1) to the viewing rays (N, 3).

    Up to this rotation, a person looks the same anywhere in the picture. Rays must have z > 0.
    It is the product of two half turns: (2 h h^T / |h|^2 - I) D with D = diag(-1, -1, 1) and
    h = (0, 0, 1) + ray / |ray|.
    """
    half = rays / np.sqrt(np.add.reduce(rays * rays, axis=1, keepdims=True))
    half[:, 2] += 1  # half way between the axis and the ray
    rotations = (half / half[:, 2:])[:, :, None] * (half[:, None] * _HALF_TURN)
    rotations.reshape(-1, 9)[:, ::4] -= _HALF_TURN
    return rotations
