"""Scenes of skeletons: posed people before random cameras, and where they stand in the picture.

Of such scenes there are as many as one wants, in every pose that motion capture and its augmentation hold (paper, stage 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...network.keypoints import JOINTS
from ...network.torch_kinematics import bone_lengths_m, forward_kinematics
from ...runtime.pose import MUPOTS17
from ..labels.projections import ViewSettings, random_bone_lengths_m, random_rotations
from ..motion.augment import Augmentation, augment
from ..pictures.dataset import NO_PERSON, PERSON
from ..pictures.people import KEYPOINT_JOINTS, MIN_STATURE_PX, MIN_VISIBLE, STATURE_M

NECK, PELVIS, HEAD, HEAD_TOP = (MUPOTS17.index(joint) for joint in ("neck", "pelvis", "head", "head_top"))
FACE_POINTS = 5
# Nose, left and right eye, left and right ear from the middle of the head, in metres: to the person's left, up, to the front.
FACE_M = (
    (0.0, -0.02, 0.11),
    (0.033, 0.02, 0.09),
    (-0.033, 0.02, 0.09),
    (0.075, 0.0, 0.0),
    (-0.075, 0.0, 0.0),
)
# Where the skin at those points looks, and how far it may turn from the camera and still be seen (cosine). Ears show from behind.
FACE_NORMALS = ((0.0, 0.0, 1.0), (0.3, 0.0, 0.95), (-0.3, 0.0, 0.95), (1.0, 0.0, 0.0), (-1.0, 0.0, 0.0))
FACE_COSINES = (-0.05, 0.05, 0.05, -0.3, -0.3)
# Limbs that hide what is behind them, by joint, with their radii in metres.
SOLID = (("neck", "pelvis", 0.15), ("neck", "head_top", 0.1), ("right_hip", "right_knee", 0.08), ("left_hip", "left_knee", 0.08),
         ("right_knee", "right_ankle", 0.06), ("left_knee", "left_ankle", 0.06), ("right_shoulder", "right_elbow", 0.05),
         ("left_shoulder", "left_elbow", 0.05), ("right_elbow", "right_wrist", 0.04), ("left_elbow", "left_wrist", 0.04))  # fmt: skip


@dataclass(frozen=True)
class SceneSettings:
    """How scenes are laid out; shares are probabilities.

    Attributes:
        people: shares of scenes with 0, 1, 2 … people.
        stature_px: smallest and largest typical stature in a scene; log-uniform.
        spread: standard deviation of the log of statures within a scene.
        close_up: share of scenes whose typical stature is beyond the picture, up to `close_up_px`.
        framed: share of scenes with bars at two sides, as a letterbox leaves them.
        grouped: share of scenes whose people stand together.
        blocked: share of people of whom something hides one side, mostly the lower.
        head_turn_rad: standard deviation of the head's turn against the torso.
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
        visible: (B, P, 17) 0..1, how much of a point is to be seen; 0 outside the frame and where there is no person.
        stature_px: (B, P) how high a person would stand.
        there: (B, P) bool.
        frame: (B, 4) x0, y0, x1, y1 of the part of the input that holds the picture.
        labels: the arrays of `dataset.pack` with a leading B.
    """

    points_px: Tensor
    visible: Tensor
    stature_px: Tensor
    there: Tensor
    frame: Tensor
    labels: dict[str, Tensor]


def draw_scenes(
    poses: Tensor,
    count: int,
    size: tuple[int, int],
    encode: Callable[[Tensor], Tensor],
    generator: torch.Generator,
    how: SceneSettings,
) -> Scenes:
    """Return random scenes.

    Args:
        poses: (N, 16, 3) captured bone directions in the torso frame.
        count: B.
        size: (height, width) of the input.
        encode: bone directions (K, 16, 3) to embeddings (K, E).
        generator: draws everything, on the device of `poses`.
        how: settings.
    """
    device = poses.device
    most = len(how.people) - 1
    number = torch.multinomial(
        torch.tensor(how.people, device=device), count, replacement=True, generator=generator
    )
    there = torch.arange(most, device=device) < number[:, None]
    total = count * most

    directions = augment(poses, total, generator, settings=how.poses)
    rotation = random_rotations(total, generator, how.viewing)
    joints = forward_kinematics(directions, random_bone_lengths_m(total, generator)) @ rotation.transpose(
        1, 2
    )
    reference = forward_kinematics(directions, bone_lengths_m(device=device)) @ rotation.transpose(1, 2)
    # The size at which the reference skeleton fits this body best.
    factor = (reference * joints).sum((1, 2)) / reference.square().sum((1, 2)).clamp(min=1e-6)
    head_turn = (torch.randn(total, 1, generator=generator, device=device) * how.head_turn_rad).clamp(
        -1.2, 1.2
    )
    face, turned = face_points(joints, rotation, head_turn)

    frame = _frames(count, size, generator, how.framed)
    stature = _statures(count, most, size, generator, how)
    px_per_m = stature.flatten() / STATURE_M
    ratio = math.log(how.viewing.far_m / how.viewing.near_m)
    distance = how.viewing.near_m * torch.exp(
        torch.rand(total, 1, generator=generator, device=device) * ratio
    )
    everything = torch.cat([face, joints], 1)
    flat = (
        everything[..., :2]
        * (distance / (distance + everything[..., 2]).clamp(min=0.4))[..., None]
        * px_per_m[:, None, None]
    )
    flat = flat.unflatten(0, (count, most))
    middle = (flat[:, :, FACE_POINTS + NECK] + flat[:, :, FACE_POINTS + PELVIS]) / 2
    centres = _places(count, most, frame, stature, generator, how.grouped)
    flat = flat + (centres - middle)[:, :, None]

    order = [*range(FACE_POINTS), *(FACE_POINTS + joint for joint in KEYPOINT_JOINTS)]
    points = flat[:, :, order]
    visible = torch.cat([turned, torch.ones(total, JOINTS - FACE_POINTS, device=device)], 1).unflatten(
        0, (count, most)
    )
    visible = visible * _inside(points, frame) * there[..., None]
    visible = visible * _uncovered(
        points, flat[:, :, FACE_POINTS:], px_per_m.unflatten(0, (count, most)), there
    )
    visible = visible * _unblocked(points, flat[:, :, FACE_POINTS:], generator, how.blocked)

    seen = (visible[..., FACE_POINTS:] > 0.3).float()
    px_per_m = (px_per_m * factor).unflatten(0, (count, most))
    status = there & (seen.sum(-1) >= MIN_VISIBLE) & (STATURE_M * px_per_m > MIN_STATURE_PX)
    present = there & _inside(centres, frame)
    with torch.no_grad():
        embedding = encode(directions).unflatten(0, (count, most))
    labels = {
        "centres_px": centres, "px_per_m": px_per_m, "embedding": embedding, "rotation": rotation.unflatten(0, (count, most)),
        "joints_m": reference.unflatten(0, (count, most)), "keypoints_px": points[:, :, FACE_POINTS:],
        "visible": _inside(points[:, :, FACE_POINTS:], frame).float(), "exact": torch.ones(count, most, device=device),
        "trust": torch.ones(count, most, device=device), "status": torch.where(present & status, PERSON, NO_PERSON),
    }  # fmt: skip
    ignored = present & ~status & (visible.sum(-1) > 0)
    labels["status"] = torch.where(ignored, 2, labels["status"])
    return Scenes(points, visible, stature, there, frame, labels)


def face_points(joints: Tensor, rotation: Tensor, turned_rad: Tensor | float = 0.0) -> tuple[Tensor, Tensor]:
    """Return the face's points (N, 5, 3) in metres, in COCO's order, and 1 (N, 5) for those turned to the camera, else 0.

    Args:
        joints: (N, 17, 3) in metres, x right, y down, z away.
        rotation: (N, 3, 3) the torso's axes as columns.
        turned_rad: (N, 1) how far the head is turned against the torso.
    """
    device = joints.device
    up = torch.nn.functional.normalize(joints[:, HEAD_TOP] - joints[:, NECK], dim=-1)
    front = rotation[:, :, 2]
    front = torch.nn.functional.normalize(front - (front * up).sum(-1, keepdim=True) * up, dim=-1, eps=1e-3)
    angle = torch.as_tensor(turned_rad, device=device)
    front = front * angle.cos() + torch.linalg.cross(up, front) * angle.sin()
    axes = torch.stack([torch.linalg.cross(up, front), up, front], -1)
    points = joints[:, HEAD, None] + torch.tensor(FACE_M, device=device) @ axes.transpose(1, 2)
    towards = -(torch.tensor(FACE_NORMALS, device=device) @ axes.transpose(1, 2))[..., 2]
    return points, (towards > torch.tensor(FACE_COSINES, device=device)).float()


def _frames(count: int, size: tuple[int, int], generator: torch.Generator, framed: float) -> Tensor:
    device = generator.device
    share = torch.rand(count, 2, generator=generator, device=device)
    bars = (0.5 * share[:, 0] ** 0.7 * size[1] / 2).where(share[:, 1] < framed, torch.zeros(()))
    full = torch.tensor([0.0, 0.0, size[1], size[0]], device=device).repeat(count, 1)
    full[:, 0] += bars
    full[:, 2] -= bars
    return full


def _statures(
    count: int, most: int, size: tuple[int, int], generator: torch.Generator, how: SceneSettings
) -> Tensor:
    device = generator.device
    draw = torch.rand(count, 1, generator=generator, device=device)
    low, high = how.stature_px
    typical = low * torch.exp(draw * math.log(high / low))
    near = high * torch.exp(draw * math.log(how.close_up_px / high))
    typical = torch.where(
        torch.rand(count, 1, generator=generator, device=device) < how.close_up, near, typical
    )
    spread = torch.randn(count, most, generator=generator, device=device) * how.spread
    return (typical * torch.exp(spread)).clamp(0.6 * low, 1.2 * how.close_up_px) * size[0] / 256


def _places(
    count: int, most: int, frame: Tensor, stature: Tensor, generator: torch.Generator, grouped: float
) -> Tensor:
    """Return where the middles of the torsos lie (B, P, 2): anywhere in or a little beside the frame, or beside one another."""
    device = generator.device
    uniform = torch.rand(count, most, 2, generator=generator, device=device)
    low, high = frame[:, None, :2], frame[:, None, 2:]
    anywhere = low + (-0.05 + 1.1 * uniform) * (high - low)
    # Photographers keep heads in the picture: of people who do not fit, the middle lies low.
    height = high[..., 1] - low[..., 1]
    lowest = low[..., 1] + (0.42 * stature).clamp(max=1.0 * height)
    shown = torch.rand(count, most, generator=generator, device=device) < 0.7
    anywhere[..., 1] = torch.where(shown, torch.maximum(anywhere[..., 1], lowest), anywhere[..., 1])
    step = torch.randn(count, most, 2, generator=generator, device=device) * torch.tensor(
        [0.45, 0.12], device=device
    )
    group = anywhere[:, :1] + torch.where(
        torch.arange(most, device=device)[:, None] > 0, step * stature[..., None], 0.0
    )
    return torch.where(torch.rand(count, 1, 1, generator=generator, device=device) < grouped, group, anywhere)


def _inside(points: Tensor, frame: Tensor) -> Tensor:
    shape = (len(frame), *[1] * (points.dim() - 2), 2)
    return ((points > frame[:, :2].reshape(shape)) & (points < frame[:, 2:].reshape(shape))).all(-1)


def _uncovered(points: Tensor, joints: Tensor, px_per_m: Tensor, there: Tensor) -> Tensor:
    """Return 0 (B, P, 17) where a nearer person's limb lies over a point; larger people are nearer."""
    starts, ends, radii = zip(*SOLID, strict=True)
    a, b = (joints[:, :, [MUPOTS17.index(name) for name in names]] for names in (starts, ends))
    radius = torch.tensor(radii, device=points.device) * px_per_m[..., None]
    along = b - a
    offset = points[:, :, None, :, None] - a[:, None, :, None]
    share = (offset * along[:, None, :, None]).sum(-1) / along.square().sum(-1).clamp(min=1.0)[
        :, None, :, None
    ]
    apart = offset - share.clamp(0, 1)[..., None] * along[:, None, :, None]
    hit = (apart.square().sum(-1) < radius.square()[:, None, :, None]).any(-1)
    nearer = (px_per_m[:, None] > px_per_m[:, :, None]) & there[:, None]
    return 1.0 - (hit & nearer[..., None]).any(2).float()


def _unblocked(points: Tensor, joints: Tensor, generator: torch.Generator, blocked: float) -> Tensor:
    """Return 0 (B, P, 17) for points of people behind a table, a wall or a fence, which end at a straight edge."""
    device = generator.device
    count, most = points.shape[:2]
    low, high = joints.amin(2), joints.amax(2)
    share = torch.rand(count, most, 3, generator=generator, device=device)
    below = low[..., 1] + (0.25 + 0.7 * share[..., 1]) * (high[..., 1] - low[..., 1])
    beside = low[..., 0] + (0.2 + 0.4 * share[..., 1]) * (high[..., 0] - low[..., 0])
    hidden = torch.where(
        (share[..., 2] < 0.75)[..., None],
        points[..., 1] > below[..., None],
        points[..., 0] < beside[..., None],
    )
    return 1.0 - (hidden & (share[..., :1] < blocked)).float()
