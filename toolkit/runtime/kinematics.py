"""Embeddings to 3D joints: decode, rotate, place in front of the camera. Pure numpy."""

from __future__ import annotations

from typing import List, Mapping, Tuple

import numpy as np

from .pose import Skeleton

Layers = List[Tuple[np.ndarray, np.ndarray]]
LEAKY_SLOPE = 0.2
EPSILON = 1e-8


def layers(weights: Mapping[str, np.ndarray]) -> Layers:
    """Return the decoder's fully connected layers from `weight_0`, `bias_0`, `weight_1`, … in order.

    Weights are (outputs, inputs), biases (outputs,). Raises ValueError where the sizes do not chain.
    """
    found: Layers = []
    while f"weight_{len(found)}" in weights and f"bias_{len(found)}" in weights:
        weight, bias = (np.ascontiguousarray(weights[f"{name}_{len(found)}"], np.float32) for name in ("weight", "bias"))
        if weight.ndim != 2 or bias.shape != weight.shape[:1] or (found and weight.shape[1] != found[-1][0].shape[0]):
            raise ValueError(f"pose decoder: weight_{len(found)} {weight.shape} and bias {bias.shape} do not fit the layer before")
        found.append((weight, bias))
    if not found or len(weights) != 2 * len(found):
        raise ValueError(f"pose decoder needs weight_0, bias_0, weight_1, …; found {', '.join(sorted(weights)) or 'nothing'}")
    return found


def decode_embeddings(embeddings: np.ndarray, decoder: Layers) -> np.ndarray:
    """Return the unit bone directions that pose embeddings stand for.

    Args:
        embeddings: (N, E) float32 in [-1, 1].
        decoder: see `layers`; leaky rectifiers between them.

    Returns:
        (N, B, 3) float32 in the torso frame, B bones in the skeleton's order.
    """
    values = embeddings
    for weight, bias in decoder[:-1]:
        # One person at a time is a matrix-vector product, which BLAS runs without packing the weights.
        values = np.stack([weight @ row for row in values]) + bias if 0 < len(values) <= 4 else values @ weight.T + bias
        values = np.maximum(values, LEAKY_SLOPE * values)
    weight, bias = decoder[-1]
    directions = (values @ weight.T + bias).reshape(len(values), -1, 3)
    return directions / np.maximum(np.linalg.norm(directions, axis=-1, keepdims=True), EPSILON)


def forward_kinematics(directions: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return joints (N, J, 3) in mm, root at 0, from unit bone directions (N, B, 3): joint = parent + length * direction."""
    lengths_mm = np.asarray(skeleton.bone_lengths_mm, np.float32)
    joints_mm = np.zeros((len(directions), len(skeleton.names), 3), np.float32)
    for bone, joint in enumerate(skeleton.bones):
        joints_mm[:, joint] = joints_mm[:, skeleton.parents[joint]] + lengths_mm[bone] * directions[:, bone]
    return joints_mm


def rotation_from_6d(numbers: np.ndarray) -> np.ndarray:
    """Return rotation matrices (N, 3, 3), columns x, y, z, from 6 numbers: y axis, then x axis (Zhou et al., CVPR 2019)."""
    y = numbers[:, :3] / np.maximum(np.linalg.norm(numbers[:, :3], axis=1, keepdims=True), EPSILON)
    x = numbers[:, 3:] - (numbers[:, 3:] * y).sum(1, keepdims=True) * y
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), EPSILON)
    return np.stack([x, y, np.cross(x, y)], axis=-1).astype(np.float32)


def ray_rotation(rays: np.ndarray) -> np.ndarray:
    """Return the shortest rotations (N, 3, 3) that take the optical axis (0, 0, 1) to the viewing rays (N, 3).

    A person looks the same from the camera wherever in the picture they stand, up to this rotation.
    Rays must have z > 0. Rodrigues' formula for two unit vectors a = (0, 0, 1), b: I + K + K^2 / (1 + a.b), K = [a x b].
    """
    x, y, z = (rays / np.linalg.norm(rays, axis=1, keepdims=True)).T
    k = 1.0 / (1.0 + z)
    rows = [[1 - x * x * k, -x * y * k, x], [-x * y * k, 1 - y * y * k, y], [-x, -y, z]]
    return np.stack([np.stack(row, -1) for row in rows], -2).astype(np.float32)
