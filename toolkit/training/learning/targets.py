"""Targets of the output maps: Gaussian peaks at centres, and the cells that learn each pose."""

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
# Standard deviation of the Gaussian as a share of the torso, and its bounds in cells.
SIGMA_TORSO = 0.22
SIGMA_CELLS = (0.7, 2.2)
TORSO_CELLS = (0.5, 12)
# Cells with heat above this learn the pose, so that a peak one cell off still decodes the same person.
POSE_HEAT = 0.45
# Below this heat, a cell on an ignored person is excluded from the centre loss.
IGNORED_HEAT = 0.3


@dataclass(frozen=True)
class Targets:
    """Targets of B pictures with maps of h x w cells.

    Attributes:
        heat: (B, h, w) in 0..1, 1 in the cells of centres.
        ignored: (B, h, w) bool, cells on people without a known pose, neither background nor centre.
        cells: (K, 4) int64: picture, row, column, and index of the person that the cell belongs to.
        weights: (K,) with sum 1 for each person.
        sigma: (B, P) standard deviation of each centre in cells.
    """

    heat: Tensor
    ignored: Tensor
    cells: Tensor
    weights: Tensor
    sigma: Tensor


def make_targets(labels: Mapping[str, Tensor], spec: PoseSpec, map_size: tuple[int, int]) -> Targets:
    """Return the targets of a batch.

    Args:
        labels: packed labels with a leading batch dimension, see `dataset.pack`.
        spec: specification of the network.
        map_size: (height, width) of the maps in cells.
    """
    height, width = map_size
    device = labels["status"].device
    centres = (labels["centres_px"] - spec.cell_origin_px) / spec.stride
    torso = torso_cells(labels["px_per_m"], spec)
    sigma = sigma_cells(labels["px_per_m"], spec)
    rows, columns = (torch.arange(count, dtype=torch.float32, device=device) for count in (height, width))
    row_offset, column_offset = (
        rows[:, None] - centres[..., 1, None, None],
        columns - centres[..., 0, None, None],
    )
    squared = row_offset**2 + column_offset**2
    person = (labels["status"] == PERSON)[..., None, None]
    peaks = torch.exp(-squared / (2 * sigma[..., None, None] ** 2)) * person
    peaks = torch.maximum(peaks, _nearest_cells(centres, map_size) * person)
    heat, owner = peaks.max(1)
    unlabelled = (squared < torso[..., None, None] ** 2) & (labels["status"] == IGNORED)[..., None, None]
    picture, row, column = (heat > POSE_HEAT).nonzero(as_tuple=True)
    index = owner[picture, row, column]
    weights = heat[picture, row, column]
    total = torch.zeros(sigma.shape, device=device).index_put((picture, index), weights, accumulate=True)
    return Targets(
        heat=heat,
        ignored=unlabelled.any(1) & (heat < IGNORED_HEAT),
        cells=torch.stack([picture, row, column, index], 1),
        weights=weights / total[picture, index],
        sigma=sigma,
    )


def _nearest_cells(centres: Tensor, map_size: tuple[int, int]) -> Tensor:
    """Return maps (B, P, h, w) that are 1 in the cell nearest to each centre (B, P, 2) and 0 elsewhere."""
    height, width = map_size
    cell = centres[..., 1].round().clamp(0, height - 1) * width + centres[..., 0].round().clamp(0, width - 1)
    maps = torch.zeros(*centres.shape[:2], height * width, device=centres.device)
    return maps.scatter_(2, cell.long()[..., None], 1.0).unflatten(2, (height, width))


def torso_cells(px_per_m: Tensor, spec: PoseSpec) -> Tensor:
    """Return the length of torsos in cells, clipped to TORSO_CELLS."""
    return (px_per_m * TORSO_M / spec.stride).clamp(*TORSO_CELLS)


def sigma_cells(px_per_m: Tensor, spec: PoseSpec) -> Tensor:
    """Return the standard deviation of centres in cells."""
    return (torso_cells(px_per_m, spec) * SIGMA_TORSO).clamp(*SIGMA_CELLS)
