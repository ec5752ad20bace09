"""Biovision Hierarchy: a skeleton in its rest pose, and rotations over time.

Axes: x to the right of the picture, y up, z towards the camera; lengths in centimetres.
The rest pose is a T facing +z. Joints with several children have one more joint per child in their place,
so that every bone turns on its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..runtime.pose import Skeleton

TO_BVH = np.array([0.1, -0.1, -0.1])  # camera frame in mm to BVH in cm
TIP_CM = 5.0  # of the end site after the last joint of a chain
_SIDES = {"left": np.array([1.0, 0.0, 0.0]), "right": np.array([-1.0, 0.0, 0.0])}
_DOWN, _UP = np.array([0.0, -1.0, 0.0]), np.array([0.0, 1.0, 0.0])
_LEG = ("knee", "ankle", "foot", "toe")
_EPSILON = 1e-9


class _Node(NamedTuple):
    """A joint of the file; its rotation points to the skeleton's joint `bone`, -1 for none."""

    name: str
    offset_cm: np.ndarray
    joint: int
    bone: int
    children: list[_Node]


def bvh_text(joints_mm: np.ndarray, skeleton: Skeleton, hz: float) -> str:
    """Return the file of one person's joints (T, J, 3) in mm, camera frame, at a constant rate."""
    joints_cm = joints_mm * TO_BVH
    lengths = _lengths(joints_cm, skeleton)
    root = _node(skeleton.root, np.zeros(3), skeleton, lengths)
    rest = {joint: _rest_direction(skeleton.names[joint]) for joint in skeleton.bones}
    angles = np.concatenate(list(_angles(root, np.eye(3)[None], joints_cm, skeleton, rest)), axis=1)
    rows = np.concatenate([joints_cm[:, skeleton.root], angles], axis=1)
    lines = ["HIERARCHY", *_hierarchy(root, rest, "ROOT", ""), "MOTION", f"Frames: {len(rows)}"]
    lines += [f"Frame Time: {1 / hz:.8f}", *(" ".join(f"{value:.5f}" for value in row) for row in rows)]
    return "\n".join(lines) + "\n"


def _lengths(joints_cm: np.ndarray, skeleton: Skeleton) -> dict[int, float]:
    """Return joint → median length in cm of the bone that ends there."""
    return {
        joint: float(
            np.median(np.linalg.norm(joints_cm[:, joint] - joints_cm[:, skeleton.parents[joint]], axis=1))
        )
        for joint in skeleton.bones
    }


def _rest_direction(name: str) -> np.ndarray:
    """Return the direction (3,) of the bone that ends at a joint, in the rest pose."""
    side, _, part = name.partition("_")
    if part in _LEG:
        return _DOWN
    return _SIDES.get(side, _UP)


def _children(joint: int, skeleton: Skeleton) -> list[int]:
    return [child for child in skeleton.bones if skeleton.parents[child] == joint]


def _node(joint: int, offset_cm: np.ndarray, skeleton: Skeleton, lengths: dict[int, float]) -> _Node:
    """Return a joint with all that follow."""
    children = _children(joint, skeleton)
    name = skeleton.names[joint]
    ends = {
        child: _node(child, lengths[child] * _rest_direction(skeleton.names[child]), skeleton, lengths)
        for child in children
    }
    if len(children) == 1:
        return _Node(name, offset_cm, joint, children[0], [ends[children[0]]])
    turns = [
        _Node(f"{name}_to_{skeleton.names[child]}", np.zeros(3), joint, child, [ends[child]])
        for child in children
    ]
    return _Node(name, offset_cm, joint, -1, turns)


def _hierarchy(node: _Node, rest: dict[int, np.ndarray], kind: str, indent: str) -> Iterator[str]:
    yield f"{indent}{kind} {node.name}"
    yield f"{indent}{{"
    yield f"{indent}  OFFSET {_numbers(node.offset_cm)}"
    rotations = "Zrotation Xrotation Yrotation"
    position = "Xposition Yposition Zposition "
    yield f"{indent}  CHANNELS {f'6 {position}' if kind == 'ROOT' else '3 '}{rotations}"
    for child in node.children:
        yield from _hierarchy(child, rest, "JOINT", indent + "  ")
    if not node.children:
        yield f"{indent}  End Site"
        yield f"{indent}  {{"
        yield f"{indent}    OFFSET {_numbers(TIP_CM * rest[node.joint])}"
        yield f"{indent}  }}"
    yield f"{indent}}}"


def _numbers(values: np.ndarray) -> str:
    return " ".join(f"{value:.5f}" for value in values)


def _angles(
    node: _Node, above: np.ndarray, joints_cm: np.ndarray, skeleton: Skeleton, rest: dict[int, np.ndarray]
) -> Iterator[np.ndarray]:
    """Yield the angles (T, 3) in degrees of a joint and of all that follow, in the order of the hierarchy.

    `above` (T or 1, 3, 3) is the rotation of the parent in the world.
    """
    children = _children(node.joint, skeleton)
    if node.bone >= 0:
        directions = _unit(joints_cm[:, node.bone] - joints_cm[:, node.joint])
        turned = above @ rest[node.bone]
        world = _shortest(np.broadcast_to(turned, directions.shape), directions) @ above
    elif len(children) > 1:
        bones_cm = joints_cm[:, children] - joints_cm[:, [node.joint]]
        world = _best_rotation(np.stack([rest[child] for child in children]), _unit(bones_cm))
    else:
        world = np.broadcast_to(above, (len(joints_cm), 3, 3))
    yield _zxy_degrees(above.transpose(0, 2, 1) @ world)
    for child in node.children:
        yield from _angles(child, world, joints_cm, skeleton, rest)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _EPSILON)


def _shortest(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the shortest rotations (T, 3, 3) from unit vectors `start` (T, 3) to `end`.

    The product of two half turns, about `start` and about the vector half way to `end`.
    """
    half = start + end
    opposite = np.linalg.norm(half, axis=1) < 1e-6
    if opposite.any():  # any axis at a right angle will do
        least = np.eye(3)[np.abs(start[opposite]).argmin(axis=1)]
        half[opposite] = _unit(np.cross(start[opposite], least))
    half = _unit(half)
    return _half_turn(half) @ _half_turn(start)


def _half_turn(axis: np.ndarray) -> np.ndarray:
    return 2 * axis[:, :, None] * axis[:, None] - np.eye(3)


def _best_rotation(rest: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Return the rotations (T, 3, 3) that bring rest directions (C, 3) nearest to directions (T, C, 3).

    Least squares by singular values (Kabsch, 1976).
    """
    left, _, right = np.linalg.svd(directions.transpose(0, 2, 1) @ rest)
    sign = np.linalg.det(left @ right)
    left[:, :, 2] *= sign[:, None]
    return left @ right


def _zxy_degrees(rotation: np.ndarray) -> np.ndarray:
    """Return the angles (T, 3) about z, x and y of rotations (T, 3, 3) = Rz Rx Ry."""
    x = np.arcsin(np.clip(rotation[:, 2, 1], -1, 1))
    locked = np.abs(rotation[:, 2, 1]) > 1 - 1e-9  # z and y turn about one axis
    z = np.where(
        locked,
        np.arctan2(rotation[:, 1, 0], rotation[:, 0, 0]),
        np.arctan2(-rotation[:, 0, 1], rotation[:, 1, 1]),
    )
    y = np.where(locked, 0.0, np.arctan2(-rotation[:, 2, 0], rotation[:, 2, 2]))
    return np.degrees(np.stack([z, x, y], axis=1))
