"""The loss of self-distillation: the distance between the heads of two graphs, weighted by people."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ...ir.graph import Graph
from ...network.torch_kinematics import EPSILON, bone_lengths_m, forward_kinematics, rotation_from_6d
from ...runtime.decoding.kinematics import LEAKY_SLOPE, layers

# Weight of a cell without people, relative to a person's centre; heat maps weight all cells equally.
EMPTY_WEIGHT = 1e-3
# Cells of the centre map above this are decoded to poses.
POSE_SCORE = 0.05
# Weight of a joint error of 1 m, relative to an error of a head's whole range, squared.
JOINT_WEIGHT = 0.1
# The joint error is quadratic below this distance and linear beyond (pseudo-Huber).
LINEAR_FROM_M = 0.002


def distillation_loss(student: Mapping[str, Tensor], teacher: Mapping[str, Tensor], graph: Graph) -> Tensor:
    """Return the distance between two sets of heads (B, C, h, w) of one graph.

    The squared error of each head, in units of its range: offsets of key points are weighted by the teacher's
    heat, heads of poses by its centre map. In addition the joint error of the decoded poses, because the
    range of an embedding does not tell the effect of an error in it. The joint error is linear for large
    distances, so that a torso rotation of which the network is uncertain does not dominate.
    """
    loss = torch.zeros(())
    for name, wanted in teacher.items():
        head = graph.spec.heads[name]
        squared = ((student[name] - wanted) / (head.high - head.low)).square()
        weights = _cell_weights(name, teacher).expand_as(squared)
        loss = loss + (squared * weights).sum() / weights.sum()
    cells = (teacher["centre"] > POSE_SCORE)[:, 0]
    if not cells.any():
        return loss
    weights = teacher["centre"][:, 0][cells]
    joints_m, wanted_m = (_joints_m(heads, cells, graph) for heads in (student, teacher))
    squared = (joints_m - wanted_m).square().sum(-1).mean(-1)
    distance_m = (squared + LINEAR_FROM_M**2).sqrt() - LINEAR_FROM_M
    return loss + JOINT_WEIGHT * (distance_m * weights).sum() / weights.sum()


def _cell_weights(name: str, teacher: Mapping[str, Tensor]) -> Tensor:
    """Return the weight of every cell of a head, (B, 1 or C, h, w)."""
    if name == "keypoint_offset":
        return teacher["keypoints"].repeat(1, 2, 1, 1) + EMPTY_WEIGHT  # all x, then all y
    if name in ("centre", "keypoints"):
        return torch.ones_like(teacher[name])
    return teacher["centre"] + EMPTY_WEIGHT


def _joints_m(heads: Mapping[str, Tensor], cells: Tensor, graph: Graph) -> Tensor:
    """Return joints (N, J, 3) in m, root at 0, in the viewing ray's frame, of a mask's cells (B, h, w)."""
    values, rotation = (heads[name].permute(0, 2, 3, 1)[cells] for name in ("embedding", "rotation"))
    *hidden, last = [
        (torch.from_numpy(weight), torch.from_numpy(bias)) for weight, bias in layers(graph.decoder)
    ]
    for weight, bias in hidden:
        values = functional.leaky_relu(functional.linear(values, weight, bias), LEAKY_SLOPE)
    directions = functional.normalize(
        functional.linear(values, *last).unflatten(-1, (-1, 3)), dim=-1, eps=EPSILON
    )
    skeleton = graph.spec.skeleton
    joints = forward_kinematics(directions, bone_lengths_m(skeleton), skeleton)
    return joints @ rotation_from_6d(rotation).transpose(-1, -2)
