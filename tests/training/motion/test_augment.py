from __future__ import annotations

import pytest
import torch
from captured import captured_poses, standing

from toolkit.network.torch_kinematics import (
    bone,
    bone_lengths_m,
    forward_kinematics,
    mirror_directions,
    torso_frames,
)
from toolkit.training.motion.anatomy import LIMITS, joint_angles, plausible_share, within_limits
from toolkit.training.motion.augment import (
    LEFT_LEG,
    RIGHT_LEG,
    Augmentation,
    augment,
    crouch,
    draw,
    seat,
    turn_limbs,
)

pytestmark = pytest.mark.torch


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def captured() -> torch.Tensor:
    return torch.from_numpy(captured_poses(200))


def test_augmented_poses_are_unit_directions_in_their_own_frames() -> None:
    made = augment(captured(), 300, seeded())
    torch.testing.assert_close(made.norm(dim=-1), torch.ones(300, 16), atol=1e-5, rtol=0)
    frames = torso_frames(forward_kinematics(made, bone_lengths_m()))
    torch.testing.assert_close(frames, torch.eye(3).expand(300, 3, 3), atol=1e-5, rtol=0)


def test_equal_seeds_give_equal_poses() -> None:
    assert torch.equal(augment(captured(), 50, seeded(3)), augment(captured(), 50, seeded(3)))
    assert not torch.equal(augment(captured(), 50, seeded(3)), augment(captured(), 50, seeded(4)))


def test_without_changes_augmentation_gives_captured_poses_and_their_mirror_images() -> None:
    nothing = Augmentation(swap_legs=0, swap_arm=0, sit=0, crouch=0, turn=0)

    def is_among(pose: torch.Tensor, poses: torch.Tensor) -> bool:
        return bool((poses - pose).abs().flatten(1).amax(1).min() < 1e-5)

    for made in (draw(captured(), 40, seeded()), augment(captured(), 40, seeded(), settings=nothing)):
        straight = [is_among(pose, captured()) for pose in made]
        assert 5 < sum(straight) < 35
        assert all(
            is_among(pose, mirror_directions(captured()))
            for pose, found in zip(made, straight, strict=True)
            if not found
        )


def test_swapped_legs_move_independently_of_the_arms() -> None:
    legs_only = Augmentation(swap_legs=1, swap_arm=0, sit=0, crouch=0, turn=0)
    made = augment(captured(), 100, seeded(), settings=legs_only)
    arm_swing, leg_swing = made[:, bone("left_elbow"), 2], made[:, bone("left_knee"), 2]
    assert abs(torch.corrcoef(torch.stack([arm_swing, leg_swing]))[0, 1]) < 0.4
    drawn = draw(captured(), 100, seeded())
    assert (
        torch.corrcoef(torch.stack([drawn[:, bone("left_elbow"), 2], drawn[:, bone("left_knee"), 2]]))[0, 1]
        > 0.8
    )


def test_seated_people_have_their_thighs_forward() -> None:
    seated = seat(captured(), seeded())
    for leg in (LEFT_LEG, RIGHT_LEG):
        assert seated[:, leg[1], 2].mean() > 0.8
        assert seated[:, leg[2], 1].mean() < -0.8
    assert plausible_share(seated)[0] > 0.95
    assert plausible_share(crouch(captured(), seeded()))[0] > 0.95


def test_turned_limbs_leave_the_trunk_unchanged() -> None:
    turned = turn_limbs(captured(), 0.12, seeded())
    trunk = [
        bone(name) for name in ("spine", "neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip")
    ]
    assert torch.equal(turned[:, trunk], captured()[:, trunk])
    moved = torch.acos((turned * captured()).sum(-1).clamp(-1, 1))[:, bone("left_elbow")]
    assert 0.02 < moved.mean() < 0.3


def bent(end: str, direction: tuple[float, float, float]) -> torch.Tensor:
    pose = torch.from_numpy(standing()).clone()
    pose[bone(end)] = torch.nn.functional.normalize(torch.tensor(direction, dtype=torch.float32), dim=0)
    return pose[None]


@pytest.mark.parametrize(
    ("pose", "broken"),
    [
        (bent("left_ankle", (0, -1, 1)), "knee_twist"),  # a knee bent forwards
        (bent("right_ankle", (0, -1, 1)), "knee_twist"),
        (bent("left_ankle", (0, 1, -0.05)), "knee_flexion"),
        (bent("right_wrist", (0.3, 1, 0)), "elbow_flexion"),
        (bent("left_knee", (0, 0.3, -1)), "hip_flexion"),
        (bent("left_knee", (-1, -0.4, 0)), "hip_abduction"),
        (bent("head", (0, 0, -1)), "neck_tilt"),
        (bent("head_top", (0, -1, 0)), "head_tilt"),
        (bent("spine", (1, 0.2, 0)), "spine_bend"),
        (bent("left_shoulder", (0, 1, 0)), "clavicle_tilt"),
        (bent("left_hip", (0, -1, 0)), "pelvis_tilt"),
        (bent("left_elbow", (0, 0, -1)), "shoulder_backward"),
        (bent("left_elbow", (-1, 0, 0)), "shoulder_across"),
    ],
)
def test_impossible_poses_break_their_limit(pose: torch.Tensor, broken: str) -> None:
    assert not within_limits(pose)[broken].item()


@pytest.mark.parametrize("direction", [(0, -0.2, -1), (0.2, -0.6, -0.8)])
def test_a_knee_may_bend_backwards(direction: tuple[float, float, float]) -> None:
    assert all(kept.item() for kept in within_limits(bent("left_ankle", direction)).values())


def test_captured_poses_keep_all_limits_and_both_sides_have_equal_angles() -> None:
    share, by_limit = plausible_share(captured())
    assert share == 1.0
    assert set(by_limit) == set(LIMITS)
    for angles in joint_angles(torch.from_numpy(standing())[None]).values():
        assert angles.max() - angles.min() < 0.1


def test_random_directions_are_implausible() -> None:
    directions = torch.nn.functional.normalize(torch.randn(200, 16, 3, generator=seeded()), dim=-1)
    assert plausible_share(directions)[0] == 0.0
