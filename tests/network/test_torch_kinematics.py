from __future__ import annotations

import numpy as np
import pytest
import torch
from captured import captured_poses, standing

from toolkit.network.torch_kinematics import (
    bone_directions,
    bone_lengths_m,
    forward_kinematics,
    mirror_directions,
    rotation_about,
    rotation_from_6d,
    rotation_to_6d,
    torso_frame,
    torso_frames,
)
from toolkit.runtime.decoding import kinematics as runtime
from toolkit.runtime.pose import MUPOTS17

pytestmark = pytest.mark.torch


def rotations(count: int) -> torch.Tensor:
    return rotation_from_6d(torch.randn(count, 6, generator=torch.Generator().manual_seed(0)))


def test_forward_kinematics_is_the_boards() -> None:
    poses = captured_poses(20)
    found_m = forward_kinematics(torch.from_numpy(poses), bone_lengths_m())
    np.testing.assert_allclose(1000 * found_m.numpy(), runtime.forward_kinematics(poses, MUPOTS17), atol=1e-2)


def test_six_numbers_to_a_rotation_as_on_the_board_and_back() -> None:
    numbers = torch.randn(20, 6, generator=torch.Generator().manual_seed(1))
    rotations = rotation_from_6d(numbers)
    np.testing.assert_allclose(rotations.numpy(), runtime.rotation_from_6d(numbers.numpy()), atol=1e-5)
    np.testing.assert_allclose(torch.linalg.det(rotations).numpy(), 1, atol=1e-5)
    torch.testing.assert_close(rotation_from_6d(rotation_to_6d(rotations)), rotations, atol=1e-5, rtol=0)


def test_a_quarter_turn_about_y_takes_z_to_x() -> None:
    turn = rotation_about(torch.tensor([[0.0, 2.0, 0.0]]), torch.tensor([torch.pi / 2]))
    torch.testing.assert_close(
        turn[0] @ torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0]), atol=1e-6, rtol=0
    )


def test_frame_and_directions_recover_a_turned_person() -> None:
    poses, turned = torch.from_numpy(captured_poses(20)), rotations(20)
    joints = (forward_kinematics(poses, bone_lengths_m()) @ turned.transpose(1, 2)).numpy()
    frame = torso_frame(joints)
    np.testing.assert_allclose(frame, turned.numpy(), atol=1e-5)
    np.testing.assert_allclose(bone_directions(joints, frame), poses.numpy(), atol=1e-5)


def test_the_torso_of_a_standing_person_faces_the_front() -> None:
    joints = runtime.forward_kinematics(standing()[None], MUPOTS17)
    np.testing.assert_allclose(torso_frame(joints)[0], np.eye(3), atol=1e-6)


def test_the_mirror_exchanges_left_and_right_and_undoes_itself() -> None:
    poses = captured_poses(5)
    joints, mirrored = (runtime.forward_kinematics(d, MUPOTS17) for d in (poses, mirror_directions(poses)))
    np.testing.assert_allclose(mirrored, joints[:, list(MUPOTS17.mirror)] * [-1, 1, 1], atol=1e-3)
    np.testing.assert_array_equal(mirror_directions(mirror_directions(poses)), poses)
    np.testing.assert_array_equal(
        mirror_directions(torch.from_numpy(poses)).numpy(), mirror_directions(poses)
    )


def test_gradients_pass_from_joints_to_numbers() -> None:
    numbers = torch.randn(3, 6, generator=torch.Generator().manual_seed(2), requires_grad=True)
    joints = forward_kinematics(torch.from_numpy(captured_poses(3)), bone_lengths_m()) @ rotation_from_6d(
        numbers
    ).transpose(1, 2)
    torso_frames(joints)[:, 0, 0].sum().backward()
    assert numbers.grad is not None
    assert torch.isfinite(numbers.grad).all()
    assert numbers.grad.abs().sum() > 0
