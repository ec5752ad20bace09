"""How far the pose maps that a network reads from its trunk are from the key points of the labels: what PoseNet itself learned from.

After PersonLab (Papandreou et al., ECCV 2018): discs of heat around key points, and in them the ways to the key point and to its neighbours.
The labels have no faces; what PoseNet knows of those is left to `PoseNetAnchor`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

from ..network.maps import DISPLACEMENT_PX, DISPLACEMENTS, JOINTS, MAP_STRIDE, OFFSET_PX, PoseMapsReader
from .dataset import IGNORED, PERSON
from .map_rendering import ReadingFaults
from .people import BODY_KEYPOINTS, STATURE_M

FACE = JOINTS - BODY_KEYPOINTS
HALF = len(DISPLACEMENTS) // 2
# (channel of the field's y, of its x, from, to) of the displacements between joints of the body.
REACHES = [(3 * JOINTS + 2 * HALF * (index // HALF) + index % HALF, 3 * JOINTS + 2 * HALF * (index // HALF) + HALF + index % HALF,
            start - FACE, end - FACE) for index, (start, end) in enumerate(DISPLACEMENTS) if min(start, end) >= FACE]  # fmt: skip
# Around a key point that cannot be seen nothing is asked within so many radii of a disc.
UNASKED_RADII = 1.5


def keypoint_loss(reader: PoseMapsReader, deep: Tensor, labels: Mapping[str, Tensor]) -> Tensor:
    """Return the cross-entropy of the heat, summed over joints, plus the errors of offsets and displacements in cells.

    Args:
        reader: its heat logits and fields are judged.
        deep: (B, channels, h, w) what the trunk yields.
        labels: packed labels of the B pictures, see `dataset.pack`.
    """
    logits = reader.gates(deep).float()[:, FACE:JOINTS].flatten(2)
    fields = reader.values(deep).float().flatten(2)
    rows, columns = (torch.arange(side, dtype=torch.float32, device=deep.device) * MAP_STRIDE for side in deep.shape[2:])
    cells = torch.stack([columns.repeat(len(rows)), rows.repeat_interleave(len(columns))], -1)

    person = (labels["status"] == PERSON)[..., None]
    places, seen = labels["keypoints_px"], (labels["seen"] > 0) & person
    distance = (cells - places[:, :, :, None]).square().sum(-1).sqrt()
    radius = ReadingFaults.radius_px
    disc = torch.sigmoid((radius - distance) / ReadingFaults.edge_px)
    heat, owner = (disc * seen[..., None]).max(1)

    unsure = ((distance < UNASKED_RADII * radius) & (person & ~seen)[..., None]).any(1)
    reach_px = 0.6 * STATURE_M * labels["px_per_m"]
    around = (cells - labels["centres_px"][:, :, None]).square().sum(-1).sqrt() < reach_px[..., None]
    somebody = (around & (labels["status"] == IGNORED)[..., None]).any(1)
    asked = (heat > 0.3) | ~(unsure | somebody[:, None])
    entropy = functional.binary_cross_entropy_with_logits(logits, heat, reduction="none")
    floor = functional.binary_cross_entropy(heat, heat, reduction="none")
    heat_loss = ((entropy - floor) * asked).sum(1).mean()

    batch = torch.arange(len(deep), device=deep.device)[:, None, None]
    joint = torch.arange(BODY_KEYPOINTS, device=deep.device)[:, None]
    short = torch.stack([fields[:, JOINTS + FACE : 2 * JOINTS], fields[:, 2 * JOINTS + FACE : 3 * JOINTS]], -1)
    offset_loss = _field_error(short, (places[batch, owner, joint] - cells).flip(-1), heat, OFFSET_PX)
    y, x, starts, ends = (list(part) for part in zip(*REACHES, strict=True))
    far = torch.stack([fields[:, y], fields[:, x]], -1)
    away = (places[:, :, ends] - places[:, :, starts])[batch, owner[:, starts], torch.arange(len(ends), device=deep.device)[:, None]]
    known = heat[:, starts] * seen[:, :, ends][batch, owner[:, starts], torch.arange(len(ends), device=deep.device)[:, None]]
    return heat_loss + offset_loss + _field_error(far, away.flip(-1), known, DISPLACEMENT_PX)


def _field_error(fields: Tensor, wanted_px: Tensor, weights: Tensor, unit_px: float) -> Tensor:
    """Return the weighted mean distance, in cells, of fields (B, J, cells, 2) in units of `unit_px` to what is wanted, which is cut at it."""
    error = (fields - (wanted_px / unit_px).clamp(-1, 1)).abs().sum(-1) * (unit_px / MAP_STRIDE)
    return (error * weights).sum() / weights.sum().clamp(min=1)
