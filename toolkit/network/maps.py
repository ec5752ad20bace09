"""PoseNet's 2D evidence as maps that a network can read: where joints are, and which way their neighbours lie.

At stride 16, PoseNet says for every cell and joint how likely the joint is near (heat), how far off it then is (short
offset), and how far off the joints at the other ends of its limbs are (displacement). The last two mean something only
near the joint, so here they are multiplied by its heat.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..runtime.pose import KEYPOINT_HEADS, Head, KeypointGrid

JOINTS = 17
# Limbs of PoseNet's tree by COCO's joints, parent first: nose 0, eyes, ears, shoulders 5, elbows, wrists, hips 11, knees, ankles.
LIMBS = ((0, 1), (1, 3), (0, 2), (2, 4), (0, 5), (5, 7), (7, 9), (5, 11), (11, 13), (13, 15),
         (0, 6), (6, 8), (8, 10), (6, 12), (12, 14), (14, 16))  # fmt: skip
# (from, to) of each displacement: first from children to parents, then from parents to children.
DISPLACEMENTS = tuple((child, parent) for parent, child in LIMBS) + LIMBS
MAP_STRIDE = 16
MAPS = JOINTS + 2 * JOINTS + 2 * len(DISPLACEMENTS)
# Pixels of the input that a value of 1 stands for; PoseNet's reach beyond them is cut.
OFFSET_PX = 32.0
DISPLACEMENT_PX = 128.0
# PoseNet's key points by the joints of MUPOTS17, which has no face.
KEYPOINTS = KeypointGrid(MAP_STRIDE, 0.0, ("",) * 5 + tuple(
    f"{side}_{part}" for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle") for side in ("left", "right")
))  # fmt: skip
OFFSET_CELLS = OFFSET_PX / MAP_STRIDE


def _order() -> tuple[list[int], list[float]]:
    """Return the joint whose heat gates each channel, and the channel's scale, in the order of PoseNet's own outputs."""
    gates, scales = list(range(JOINTS)), [1.0] * JOINTS
    gates += [*range(JOINTS)] * 2  # all y, then all x
    scales += [OFFSET_PX] * (2 * JOINTS)
    for half in (DISPLACEMENTS[: len(LIMBS)], DISPLACEMENTS[len(LIMBS) :]):
        gates += [start for start, _ in half] * 2
        scales += [DISPLACEMENT_PX] * (2 * len(half))
    return gates, scales


GATES, SCALES = _order()


class PoseMapsReader(nn.Module):
    """Trunk features to the maps, all in -1..1: value * sigmoid(gate), both 1x1 convolutions; the value of a heat is 1.

    Rows of the gate are repeated for every field of a joint, so that no operator has to pick channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.values = nn.Conv2d(channels, MAPS, 1)
        self.gates = nn.Conv2d(channels, MAPS, 1)

    def forward(self, deep: Tensor) -> Tensor:
        """Return maps (B, 115, h, w) of features (B, channels, h, w)."""
        return self.values(deep).clamp(-1.0, 1.0) * torch.sigmoid(self.gates(deep))

    def keypoints(self, deep: Tensor) -> tuple[Tensor, Tensor]:
        """Return heat (B, 17, h, w) and the offsets (B, 34, h, w) as the heads of key points have them: in cells, all x, then all y.

        Convolutions of their own, so that what pose maps lose to integers costs the key points nothing.
        """
        assert self.gates.bias is not None
        assert self.values.bias is not None
        heat = functional.conv2d(deep, self.gates.weight[:JOINTS], self.gates.bias[:JOINTS])
        fields = (slice(2 * JOINTS, 3 * JOINTS), slice(JOINTS, 2 * JOINTS))
        weight, bias = (OFFSET_CELLS * torch.cat([values[rows] for rows in fields]) for values in (self.values.weight, self.values.bias))
        return torch.sigmoid(heat), functional.conv2d(deep, weight, bias).clamp(-OFFSET_CELLS, OFFSET_CELLS)

    @torch.no_grad()
    def take_over(self, weight: Tensor, bias: Tensor) -> None:
        """Read as PoseNet does: its output layers as one, weights (115, channels, 1, 1) and biases (115,), logits of the heat first."""
        scales = weight.new_tensor(SCALES)
        self.gates.weight.copy_(weight[GATES])
        self.values.weight.copy_(weight / scales[:, None, None, None])
        self.values.weight[:JOINTS] = 0.0
        assert self.gates.bias is not None
        assert self.values.bias is not None
        self.gates.bias.copy_(bias[GATES])
        self.values.bias.copy_(bias / scales)
        self.values.bias[:JOINTS] = 1.0


def keypoint_heads() -> dict[str, Head]:
    """Return the contract of the heads of key points, by name."""
    ranges = ((JOINTS, 0.0, 1.0), (2 * JOINTS, -OFFSET_CELLS, OFFSET_CELLS))
    return {name: Head(name, *bounds) for name, bounds in zip(KEYPOINT_HEADS, ranges, strict=True)}


def mask(outputs: Tensor) -> Tensor:
    """Return the maps (B, 115, h, w) of PoseNet's own outputs of that shape, as `PoseMapsReader` forms them."""
    scaled = outputs / outputs.new_tensor(SCALES)[:, None, None]
    heat = torch.sigmoid(outputs[:, :JOINTS])
    return torch.cat([heat, scaled[:, JOINTS:].clamp(-1.0, 1.0) * heat[:, GATES[JOINTS:]]], 1)
