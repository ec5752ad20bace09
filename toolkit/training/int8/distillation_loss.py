"""How far two networks' heads are apart, in what people are made of."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ...ir.graph import Graph
from ...network.torch_kinematics import EPSILON, bone_lengths_m, forward_kinematics, rotation_from_6d
from ...runtime.decoding.kinematics import LEAKY_SLOPE, layers

# What a cell where nobody is counts, beside 1 at a person's centre; in maps of heat all cells count.
EMPTY = 1e-3
# Cells of the centre map above this have a pose; the decoder is spared the others.
SOMEBODY = 0.05
# What a metre between joints counts, beside a squared whole range of a head.
JOINTS = 0.1
# Below this many metres joints are as good as in one place.
CLOSE_M = 0.002


def heads_apart(mine: Mapping[str, Tensor], wanted: Mapping[str, Tensor], graph: Graph) -> Tensor:
    """Return how far heads (B, C, h, w) are from those wanted, of one graph.

    Every head counts by the square, in units of its range, where it says something: offsets of key points where their heat is, the
    others but the heat maps near people, as the wanted centre map has it. Poses count by the metre as well, in the joints that
    embedding and rotation stand for: what one number of an embedding is worth, its range does not tell; and a torso that turns
    about, because the network is unsure of it, counts for no more than it is.
    """
    loss = torch.zeros(())
    for name, truth in wanted.items():
        head = graph.spec.heads[name]
        squared = ((mine[name] - truth) / (head.high - head.low)).square()
        cells = _cell_weights(name, wanted).expand_as(squared)
        loss = loss + (squared * cells).sum() / cells.sum()
    somebody = (wanted["centre"] > SOMEBODY)[:, 0]
    if not somebody.any():
        return loss
    weights = wanted["centre"][:, 0][somebody]
    squared = (
        (_joints_m(mine, somebody, graph) - _joints_m(wanted, somebody, graph)).square().sum(-1).mean(-1)
    )
    apart_m = (squared + CLOSE_M**2).sqrt() - CLOSE_M
    return loss + JOINTS * (apart_m * weights).sum() / weights.sum()


def _cell_weights(name: str, wanted: Mapping[str, Tensor]) -> Tensor:
    """Return what every cell of a head counts, (B, 1 or C, h, w)."""
    if name == "keypoint_offset":
        return wanted["keypoints"].repeat(1, 2, 1, 1) + EMPTY  # all x, then all y
    if name in ("centre", "keypoints"):
        return torch.ones_like(wanted[name])
    return wanted["centre"] + EMPTY


def _joints_m(heads: Mapping[str, Tensor], cells: Tensor, graph: Graph) -> Tensor:
    """Return the joints (N, J, 3) in metres, root at 0, before the camera, of the N cells where a mask (B, h, w) is true."""
    values, rotation = (heads[name].permute(0, 2, 3, 1)[cells] for name in ("embedding", "rotation"))
    *hidden, last = [
        (torch.from_numpy(weight), torch.from_numpy(bias)) for weight, bias in layers(graph.decoder)
    ]
    for weight, bias in hidden:
        values = functional.leaky_relu(functional.linear(values, weight, bias), LEAKY_SLOPE)
    directions = functional.normalize(
        functional.linear(values, *last).unflatten(-1, (-1, 3)), dim=-1, eps=EPSILON
    )
    joints = forward_kinematics(directions, bone_lengths_m(graph.spec.skeleton), graph.spec.skeleton)
    return joints @ rotation_from_6d(rotation).transpose(-1, -2)
