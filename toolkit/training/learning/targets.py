"""What the maps should say: centres as Gaussian peaks, and the cells around each centre that learn its pose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ...runtime.pose import MUPOTS17, PoseSpec
from ..pictures.dataset import IGNORED, PERSON

TORSO_M = (
    sum(MUPOTS17.bone_lengths_mm[MUPOTS17.bones.index(MUPOTS17.index(joint))] for joint in ("spine", "neck"))
    / 1000
)
# The Gaussian's standard deviation as a share of the torso, and its bounds in cells.
SIGMA_TORSO = 0.22
SIGMA_CELLS = (0.7, 2.2)
# Cells where the Gaussian exceeds this learn the pose: a peak one cell off should still read the same person.
DISC = 0.45


@dataclass(frozen=True)
class Targets:
    """Targets of B pictures with maps of h x w cells.

    Attributes:
        heat: (B, h, w) in 0..1, 1 at the cells of centres.
        ignored: (B, h, w) bool, cells where somebody is whose pose is unknown: neither empty nor a centre.
        cells: (K, 4) int64: picture, row, column, and which of its people the cell belongs to.
        weights: (K,) adding up to 1 for every person.
        sigma: (B, P) in cells.
    """

    heat: Tensor
    ignored: Tensor
    cells: Tensor
    weights: Tensor
    sigma: Tensor


def make_targets(labels: Mapping[str, Tensor], spec: PoseSpec, map_size: tuple[int, int]) -> Targets:
    """Return the targets of packed labels (see `dataset.pack`), a leading batch dimension in front, for maps of `map_size`."""
    height, width = map_size
    device = labels["status"].device
    centres = (labels["centres_px"] - spec.cell_origin_px) / spec.stride
    torso = torso_cells(labels["px_per_m"], spec)
    sigma = sigma_cells(labels["px_per_m"], spec)
    rows, columns = (torch.arange(count, dtype=torch.float32, device=device) for count in (height, width))
    squared = (rows[:, None] - centres[..., 1, None, None]) ** 2 + (
        columns - centres[..., 0, None, None]
    ) ** 2
    person = (labels["status"] == PERSON)[..., None, None]
    peaks = torch.exp(-squared / (2 * sigma[..., None, None] ** 2)) * person
    nearest = torch.zeros_like(peaks).flatten(2)
    cell = centres[..., 1].round().clamp(0, height - 1) * width + centres[..., 0].round().clamp(0, width - 1)
    nearest.scatter_(2, cell.long()[..., None], 1.0)
    peaks = torch.maximum(peaks, nearest.unflatten(2, (height, width)) * person)
    heat, owner = peaks.max(1)
    somebody = (squared < torso[..., None, None] ** 2) & (labels["status"] == IGNORED)[..., None, None]
    picture, row, column = (heat > DISC).nonzero(as_tuple=True)
    index = owner[picture, row, column]
    weights = heat[picture, row, column]
    total = torch.zeros(sigma.shape, device=device).index_put((picture, index), weights, accumulate=True)
    return Targets(
        heat=heat,
        ignored=somebody.any(1) & (heat < 0.3),
        cells=torch.stack([picture, row, column, index], 1),
        weights=weights / total[picture, index],
        sigma=sigma,
    )


def torso_cells(px_per_m: Tensor, spec: PoseSpec) -> Tensor:
    """Return the length of people's torsos in cells, within sensible bounds."""
    return (px_per_m * TORSO_M / spec.stride).clamp(0.5, 12)


def sigma_cells(px_per_m: Tensor, spec: PoseSpec) -> Tensor:
    """Return the standard deviation of people's centres in cells."""
    return (torso_cells(px_per_m, spec) * SIGMA_TORSO).clamp(*SIGMA_CELLS)
