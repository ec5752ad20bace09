"""Random scenes of skeletons: captured poses before random cameras (stage 1 of Kundu et al., ECCV 2020)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ...network.keypoints import JOINTS
from ...network.torch_kinematics import bone_lengths_m, forward_kinematics
from ...runtime.pose import MUPOTS17
from ..labels.projections import ViewSettings, random_bone_lengths_m, random_rotations
from ..motion.augment import Augmentation, augment
from ..pictures.dataset import IGNORED, NO_PERSON, PERSON
from ..pictures.people import KEYPOINT_JOINTS, MIN_STATURE_PX, MIN_VISIBLE_KEYPOINTS, STATURE_M
from .skeleton_points import FACE_POINTS, face_points, inside, unblocked, unoccluded

NECK, PELVIS = (MUPOTS17.index(joint) for joint in ("neck", "pelvis"))
COCO_POINTS = [*range(FACE_POINTS), *(FACE_POINTS + joint for joint in KEYPOINT_JOINTS)]  # of all points
MIN_VISIBLE = 0.3


@dataclass(frozen=True)
class SceneSettings:
    """Distribution of scenes; shares are probabilities.

    Attributes:
        people: shares of scenes with 0, 1, 2 … people.
        stature_px: smallest and largest typical stature of a scene, log-uniform.
        spread: standard deviation of the log of statures within a scene.
        close_up: share of scenes with a typical stature beyond the frame, up to `close_up_px`.
        close_up_px: largest typical stature of a close-up.
        framed: share of scenes with letterbox bars on the left and right.
        grouped: share of scenes with people in groups.
        blocked: share of people partly behind an edge, see `unblocked`.
        head_turn_rad: standard deviation of the head's rotation against the torso.
        viewing: orientation and distance of people.
        poses: see `Augmentation`.
    """

    people: tuple[float, ...] = (0.03, 0.27, 0.25, 0.17, 0.12, 0.08, 0.08)
    stature_px: tuple[float, float] = (45.0, 450.0)
    spread: float = 0.3
    close_up: float = 0.12
    close_up_px: float = 900.0
    framed: float = 0.35
    grouped: float = 0.4
    blocked: float = 0.22
    head_turn_rad: float = 0.45
    viewing: ViewSettings = field(default_factory=lambda: ViewSettings(facing=0.45, tumbled=0.06))
    poses: Augmentation = field(default_factory=lambda: Augmentation(sit=0.22, crouch=0.08))


@dataclass(frozen=True)
class Scenes:
    """B scenes of at most P people.

    Attributes:
        points_px: (B, P, 17, 2) COCO's key points in the input, face first.
        visible: (B, P, 17) 0..1, visibility of each point; 0 outside the frame and without a person.
        stature_px: (B, P) height of each person when standing.
        present: (B, P) bool.
        frame: (B, 4) x0, y0, x1, y1 of the picture within the input.
        labels: the arrays of `dataset.pack` with a leading B.
    """

    points_px: Tensor
    visible: Tensor
    stature_px: Tensor
    present: Tensor
    frame: Tensor
    labels: dict[str, Tensor]


class _Bodies(NamedTuple):
    """N = B * P posed bodies in the viewing ray's frame."""

    directions: Tensor  # (N, 16, 3) in the torso frame
    rotation: Tensor  # (N, 3, 3) the torso's axes as columns
    joints_m: Tensor  # (N, 17, 3) with random bone lengths
    reference_m: Tensor  # (N, 17, 3) the reference skeleton in the same pose
    factor: Tensor  # (N,) size of the reference skeleton that fits the body best


@dataclass(frozen=True)
class _Layout:
    """Where people are in the input."""

    frame: Tensor  # (B, 4)
    stature_px: Tensor  # (B, P)
    centres_px: Tensor  # (B, P, 2)
    joints_px: Tensor  # (B, P, 17, 2)
    points_px: Tensor  # (B, P, 17, 2)
    face_visible: Tensor  # (N, 5)

    @property
    def px_per_m(self) -> Tensor:
        """(B, P)."""
        return self.stature_px / STATURE_M


def draw_scenes(
    poses: Tensor,
    count: int,
    size: tuple[int, int],
    *,
    encode: Callable[[Tensor], Tensor],
    generator: torch.Generator,
    settings: SceneSettings,
) -> Scenes:
    """Return random scenes.

    Args:
        poses: (N, 16, 3) captured bone directions in the torso frame.
        count: B.
        size: (height, width) of the input.
        encode: bone directions (K, 16, 3) to embeddings (K, E).
        generator: draws everything, on the device of `poses`.
        settings: distribution of scenes.
    """
    device, most = poses.device, len(settings.people) - 1
    shares = torch.tensor(settings.people, device=device)
    number = torch.multinomial(shares, count, replacement=True, generator=generator)
    present = torch.arange(most, device=device) < number[:, None]
    bodies = _draw_bodies(poses, count * most, generator, settings=settings)
    layout = _draw_layout(bodies, count, size, generator=generator, settings=settings)
    visible = _visibility(layout, present, generator, settings=settings)
    labels = _labels(bodies, layout, visible, present=present)
    with torch.no_grad():
        labels["embedding"] = encode(bodies.directions).unflatten(0, (count, most))
    return Scenes(layout.points_px, visible, layout.stature_px, present, layout.frame, labels)


def _draw_bodies(
    poses: Tensor, total: int, generator: torch.Generator, *, settings: SceneSettings
) -> _Bodies:
    directions = augment(poses, total, generator, settings=settings.poses)
    rotation = random_rotations(total, generator, settings.viewing)
    turn = rotation.transpose(1, 2)
    joints = forward_kinematics(directions, random_bone_lengths_m(total, generator)) @ turn
    reference = forward_kinematics(directions, bone_lengths_m(device=poses.device)) @ turn
    factor = (reference * joints).sum((1, 2)) / reference.square().sum((1, 2)).clamp(min=1e-6)
    return _Bodies(directions, rotation, joints, reference, factor)


def _draw_layout(
    bodies: _Bodies, count: int, size: tuple[int, int], *, generator: torch.Generator, settings: SceneSettings
) -> _Layout:
    """Place bodies in the input, in perspective."""
    device, total = generator.device, len(bodies.joints_m)
    most = total // count
    turn = torch.randn(total, 1, generator=generator, device=device) * settings.head_turn_rad
    face = face_points(bodies.joints_m, bodies.rotation, turn.clamp(-1.2, 1.2))
    frame = _frames(count, size, generator, framed=settings.framed)
    stature = _statures((count, most), size, generator, settings=settings)
    ratio = math.log(settings.viewing.far_m / settings.viewing.near_m)
    draw = torch.rand(total, 1, generator=generator, device=device)
    distance = settings.viewing.near_m * torch.exp(draw * ratio)
    points_m = torch.cat([face.points_m, bodies.joints_m], 1)
    perspective = distance / (distance + points_m[..., 2]).clamp(min=0.4)
    px_per_m = stature.flatten()[:, None, None] / STATURE_M
    points = (points_m[..., :2] * perspective[..., None] * px_per_m).unflatten(0, (count, most))
    middle = (points[:, :, FACE_POINTS + NECK] + points[:, :, FACE_POINTS + PELVIS]) / 2
    centres = _places(frame, stature, generator, grouped=settings.grouped)
    points = points + (centres - middle)[:, :, None]
    return _Layout(
        frame, stature, centres, points[:, :, FACE_POINTS:], points[:, :, COCO_POINTS], face.visible
    )


def _visibility(
    layout: _Layout, present: Tensor, generator: torch.Generator, *, settings: SceneSettings
) -> Tensor:
    """Return the visibility of each key point, (B, P, 17)."""
    total = len(layout.face_visible)
    body = torch.ones(total, JOINTS - FACE_POINTS, device=generator.device)
    visible = torch.cat([layout.face_visible, body], 1).unflatten(0, present.shape)
    visible = visible * inside(layout.points_px, layout.frame) * present[..., None]
    visible = visible * unoccluded(layout.points_px, layout.joints_px, layout.px_per_m, present=present)
    return visible * unblocked(layout.points_px, layout.joints_px, generator, share=settings.blocked)


def _labels(bodies: _Bodies, layout: _Layout, visible: Tensor, *, present: Tensor) -> dict[str, Tensor]:
    """Return the arrays of `dataset.pack` but the embedding."""
    shape = present.shape
    body_px = layout.points_px[:, :, FACE_POINTS:]
    px_per_m = layout.px_per_m * bodies.factor.unflatten(0, shape)
    enough = (visible[..., FACE_POINTS:] > MIN_VISIBLE).sum(-1) >= MIN_VISIBLE_KEYPOINTS
    labelled = present & enough & (STATURE_M * px_per_m > MIN_STATURE_PX)
    within = present & inside(layout.centres_px, layout.frame)
    ignored = within & ~labelled & (visible.sum(-1) > 0)
    status = torch.where(within & labelled, PERSON, NO_PERSON)
    ones = torch.ones(shape, device=present.device)
    return {
        "centres_px": layout.centres_px,
        "px_per_m": px_per_m,
        "rotation": bodies.rotation.unflatten(0, shape),
        "joints_m": bodies.reference_m.unflatten(0, shape),
        "keypoints_px": body_px,
        "visible": inside(body_px, layout.frame).float(),
        "exact": ones,
        "trust": ones.clone(),
        "status": torch.where(ignored, IGNORED, status),
    }


def _frames(count: int, size: tuple[int, int], generator: torch.Generator, *, framed: float) -> Tensor:
    device = generator.device
    share = torch.rand(count, 2, generator=generator, device=device)
    bars = (0.5 * share[:, 0] ** 0.7 * size[1] / 2).where(share[:, 1] < framed, torch.zeros(()))
    frame = torch.tensor([0.0, 0.0, size[1], size[0]], device=device).repeat(count, 1)
    frame[:, 0] += bars
    frame[:, 2] -= bars
    return frame


def _statures(
    shape: tuple[int, int], size: tuple[int, int], generator: torch.Generator, *, settings: SceneSettings
) -> Tensor:
    device, count = generator.device, shape[0]
    draw = torch.rand(count, 1, generator=generator, device=device)
    low, high = settings.stature_px
    typical = low * torch.exp(draw * math.log(high / low))
    near = high * torch.exp(draw * math.log(settings.close_up_px / high))
    close_up = torch.rand(count, 1, generator=generator, device=device) < settings.close_up
    typical = torch.where(close_up, near, typical)
    spread = torch.randn(shape, generator=generator, device=device) * settings.spread
    return (typical * torch.exp(spread)).clamp(0.6 * low, 1.2 * settings.close_up_px) * size[0] / 256


def _places(frame: Tensor, stature: Tensor, generator: torch.Generator, *, grouped: float) -> Tensor:
    """Return the middles of torsos (B, P, 2): anywhere in or slightly beyond the frame, or side by side."""
    device, (count, most) = generator.device, stature.shape
    uniform = torch.rand(count, most, 2, generator=generator, device=device)
    low, high = frame[:, None, :2], frame[:, None, 2:]
    anywhere = low + (-0.05 + 1.1 * uniform) * (high - low)
    # Photographers keep heads in the picture, so the middle of people larger than the frame lies low.
    height = high[..., 1] - low[..., 1]
    lowest = low[..., 1] + (0.42 * stature).clamp(max=1.0 * height)
    keeps_head = torch.rand(count, most, generator=generator, device=device) < 0.7
    anywhere[..., 1] = torch.where(keeps_head, torch.maximum(anywhere[..., 1], lowest), anywhere[..., 1])
    spacing = torch.tensor([0.45, 0.12], device=device)
    step = torch.randn(count, most, 2, generator=generator, device=device) * spacing
    further = torch.arange(most, device=device)[:, None] > 0
    group = anywhere[:, :1] + torch.where(further, step * stature[..., None], 0.0)
    return torch.where(torch.rand(count, 1, 1, generator=generator, device=device) < grouped, group, anywhere)
