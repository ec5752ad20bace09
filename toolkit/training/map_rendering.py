"""What PoseNet would report of a scene of skeletons: its maps, with the faults that it was seen to make on photographs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..network.maps import DISPLACEMENTS, GATES, JOINTS, LIMBS, MAP_STRIDE, SCALES
from .map_scenes import Scenes

MIRROR = [0, *(joint + (1 if joint % 2 else -1) for joint in range(1, JOINTS))]


@dataclass(frozen=True)
class ReadingFaults:
    """How PoseNet errs; measured on composed pictures with known key points. Lengths in input pixels.

    Attributes:
        sizes_px, logits: typical logit of a joint's peak by the person's stature; linear in between, over the log of the size.
        joints: what nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles have more.
        person, joint: standard deviations of logits between people, and between joints of one person.
        harder: people in difficult clothes, light or surroundings have up to this much less.
        radius_px, edge_px: a peak falls to half at this distance, as a logistic curve of this scale.
        jitter: standard deviation of a joint's place, in pixels and per pixel of stature.
        displacement: the same for the reach to a neighbour; `lost` is the factor where the neighbour is not to be seen.
        cell_px: standard deviation of offsets and displacements from cell to cell.
        swapped, mixed: shares of people whose left and right are exchanged, and of joints that also show at the other side's place.
        invented: mean number of peaks where there is nothing, in a scene.
        floor: largest heat of empty cells.
    """

    sizes_px: tuple[float, ...] = (30, 50, 65, 85, 110, 160, 250, 375, 600, 1000)
    logits: tuple[float, ...] = (-8, -5.5, -1.8, 1.0, 2.2, 2.5, 2.7, 1.8, 0.6, 0.0)
    joints: tuple[float, ...] = (0.3, 0.3, 0.0, 1.2, 0.0, -0.9, 0.9, 0.0, -0.5)
    person: float = 1.0
    joint: float = 1.5
    harder: float = 1.5
    radius_px: float = 29.0
    edge_px: float = 6.0
    jitter: tuple[float, float] = (2.0, 0.012)
    displacement: tuple[float, float] = (5.0, 0.022)
    lost: float = 1.8
    cell_px: float = 2.5
    swapped: float = 0.025
    mixed: float = 0.08
    invented: float = 1.5
    floor: float = 0.03


def render_maps(scenes: Scenes, size: tuple[int, int], generator: torch.Generator, faults: ReadingFaults) -> Tensor:
    """Return maps (B, 115, H / 16, W / 16) as `network.maps.PoseMapsReader` would form them on a picture of the scenes."""
    places, ends, strength = _faulty(scenes, generator, faults)
    heat, fields = _discs(places, ends, strength, size, faults)
    heat = torch.maximum(heat, faults.floor * torch.rand(heat.shape, generator=generator, device=heat.device) ** 3)
    noise = torch.randn(fields.shape, generator=generator, device=heat.device) * faults.cell_px
    noise[:, 2 * JOINTS :] *= 2
    return _maps(heat, fields + noise, size)


def draw_maps(points_px: Tensor, visible: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the maps (B, 115, H / 16, W / 16) of known people: every visible joint with heat 1, in exactly its place.

    Differentiable in the places.

    Args:
        points_px: (B, P, 17, 2) COCO's key points in the input, face first; of those that cannot be seen, where they would be.
        visible: (B, P, 17) in 0..1.
        size: (height, width) of the input.
    """
    return _maps(*_discs(points_px, points_px[:, :, [end for _, end in DISPLACEMENTS]], visible, size, ReadingFaults()), size)


def _discs(places: Tensor, ends: Tensor, strength: Tensor, size: tuple[int, int], shape: ReadingFaults) -> tuple[Tensor, Tensor]:
    """Return heat (B, 17, cells) around places (B, P, 17, 2) and the fields (B, 98, cells), in pixels and in the order of MAPS.

    `ends` (B, P, 32, 2) is where the displacements lead to, `strength` (B, P, 17) the heat in the places.
    """
    device = places.device
    cells = _cells(size, device)
    distance = ((cells - places[:, :, :, None]).square().sum(-1) + 1e-6).sqrt()
    # Normalized so that a joint in the middle of its cell has its full strength.
    falling = torch.sigmoid((shape.radius_px - distance) / shape.edge_px) * (1 + math.exp(-shape.radius_px / shape.edge_px))
    heat, owner = (falling * strength[..., None]).max(1)

    batch = torch.arange(len(places), device=device)[:, None, None]
    joint = torch.arange(JOINTS, device=device)[:, None]
    offset = places[batch, owner, joint] - cells
    starts = [start for start, _ in DISPLACEMENTS]
    reach = torch.arange(len(DISPLACEMENTS), device=device)[:, None]
    away = (ends - places[:, :, starts])[batch, owner[:, starts], reach]
    half = len(LIMBS)
    fields = [offset[..., 1], offset[..., 0]]
    fields += [part[..., axis] for part in (away[:, :half], away[:, half:]) for axis in (1, 0)]
    return heat, torch.cat(fields, 1)


def _maps(heat: Tensor, fields_px: Tensor, size: tuple[int, int]) -> Tensor:
    scaled = fields_px / fields_px.new_tensor(SCALES[JOINTS:])[:, None]
    maps = torch.cat([heat, scaled.clamp(-1, 1) * heat[:, GATES[JOINTS:]]], 1)
    return maps.unflatten(2, (size[0] // MAP_STRIDE, size[1] // MAP_STRIDE))


def _cells(size: tuple[int, int], device: torch.device) -> Tensor:
    rows, columns = (torch.arange(side // MAP_STRIDE, device=device, dtype=torch.float32) * MAP_STRIDE for side in size)
    return torch.stack([columns.repeat(len(rows)), rows.repeat_interleave(len(columns))], -1)


def _faulty(scenes: Scenes, generator: torch.Generator, faults: ReadingFaults) -> tuple[Tensor, Tensor, Tensor]:
    """Return where PoseNet sees joints (B, P, 17, 2) and the ends of displacements (B, P, 32, 2), and how sure it is (B, P, 17)."""
    device = scenes.points_px.device
    count, most = scenes.there.shape

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    stature = scenes.stature_px
    logits = _interpolate(stature.log(), torch.tensor(faults.sizes_px, device=device).log(), faults.logits)[..., None]
    logits = logits + torch.tensor([faults.joints[(joint + 1) // 2] for joint in range(JOINTS)], device=device)
    logits = logits - faults.harder * uniform(count, most, 1) + faults.person * normal(count, most, 1)
    strength = torch.sigmoid(logits + faults.joint * normal(count, most, JOINTS))
    # Of a joint that cannot be seen PoseNet sometimes has an idea.
    strength = strength * torch.where(scenes.visible > 0.3, scenes.visible, 0.6 * (uniform(count, most, JOINTS) - 0.5).clamp(min=0))
    strength = strength * (_in_frame(scenes) & scenes.there[..., None])

    size = stature[..., None, None]
    places = scenes.points_px + (faults.jitter[0] + faults.jitter[1] * size) * normal(count, most, JOINTS, 2)
    swap = (uniform(count, most, 1) < faults.swapped).expand(count, most, JOINTS)
    places, strength = (torch.where(_like(swap, part), part[:, :, MIRROR], part) for part in (places, strength))

    starts, ends = ([pair[side] for pair in DISPLACEMENTS] for side in (0, 1))
    doubt = torch.where(strength[:, :, ends] < 0.15, faults.lost, 1.0)[..., None]
    blur = (faults.displacement[0] + faults.displacement[1] * size) * doubt
    targets = places[:, :, ends] + blur * normal(count, most, len(ends), 2)

    # Joints that show a second time at the other side's place, and peaks at places that are nobody's.
    also = strength * uniform(count, most, JOINTS) * (uniform(count, most, JOINTS) < faults.mixed)
    elsewhere = places[:, :, MIRROR]
    drift = (elsewhere - places)[:, :, starts]
    places = torch.cat([places, elsewhere], 1)
    targets = torch.cat([targets, targets + drift], 1)
    strength = torch.cat([strength, also], 1)
    invented = uniform(count, 1, JOINTS) < faults.invented / JOINTS
    anywhere = scenes.frame[:, None, None, :2] + uniform(count, 1, JOINTS, 2) * (scenes.frame[:, 2:] - scenes.frame[:, :2])[:, None, None]
    reach = anywhere[:, :, starts] + 40 * normal(count, 1, len(ends), 2)
    places, targets = torch.cat([places, anywhere], 1), torch.cat([targets, reach], 1)
    return places, targets, torch.cat([strength, invented * 0.7 * uniform(count, 1, JOINTS)], 1)


def _in_frame(scenes: Scenes) -> Tensor:
    low, high = scenes.frame[:, None, None, :2], scenes.frame[:, None, None, 2:]
    return ((scenes.points_px > low) & (scenes.points_px < high)).all(-1)


def _like(chosen: Tensor, part: Tensor) -> Tensor:
    return chosen.reshape(*chosen.shape, *[1] * (part.dim() - chosen.dim())).expand_as(part)


def _interpolate(x: Tensor, knots: Tensor, values: Sequence[float]) -> Tensor:
    """Return piecewise linear values at x, constant beyond the ends."""
    y = torch.tensor(values, device=x.device)
    right = torch.searchsorted(knots, x.contiguous()).clamp(1, len(knots) - 1)
    share = ((x - knots[right - 1]) / (knots[right] - knots[right - 1])).clamp(0, 1)
    return y[right - 1] + share * (y[right] - y[right - 1])
