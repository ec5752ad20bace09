"""Long motion: pieces of short clips joined without a jump, at any frame rate."""

import numpy as np
import pytest
from block_people import strolling_clips

from toolkit.errors import PosecError
from toolkit.training.motion.long_motion import continuous, long_motion, spline
from toolkit.training.motion.retarget import quaternion_matrices


@pytest.mark.parametrize("step", [1, 0.5, 0.3, 3])
def test_a_steady_movement_is_kept_at_every_rate(step):
    times = 1 + np.arange(8) * step
    steady = np.arange(30.0)[:, None] * [1.0, -2.0]
    np.testing.assert_allclose(spline(steady, times), times[:, None] * [1.0, -2.0], atol=1e-12)


def test_a_splines_velocity_has_no_kink():
    corner = np.abs(np.arange(12.0) - 6)
    velocity = np.diff(spline(corner, np.linspace(2, 9, 701))) * 100
    assert np.abs(np.diff(velocity)).max() < 0.03


def test_signs_of_quaternions_do_not_flip():
    turns = np.tile([1.0, 0, 0, 0], (5, 2, 1)) * np.array([1, -1, -1, 1, -1])[:, None, None]
    np.testing.assert_array_equal(continuous(turns)[:, :, 0], np.ones((5, 2)))


@pytest.mark.parametrize("fps", [10.0, 30.0, 60.0])
def test_a_short_stroll_is_continued_at_its_pace_without_a_jump(standing_clips, fps):
    clips = strolling_clips(standing_clips)  # 40 frames at 30 Hz, 1 m/s
    seconds = 6
    frames = round(seconds * fps)
    motion = long_motion(np.random.default_rng(3), clips, "test", frames=frames, fps=fps)
    assert motion.starts.tolist() == [0, frames]
    assert motion.fps == fps
    speeds = np.linalg.norm(np.diff(motion.root_m, axis=0), axis=1) * fps
    assert 0.75 < speeds.min() <= speeds.max() < 1.05
    matrices = quaternion_matrices(motion.rotations[:, 0])
    turned = np.degrees(
        np.arccos(
            np.clip((np.trace(matrices[1:].swapaxes(1, 2) @ matrices[:-1], axis1=1, axis2=2) - 1) / 2, -1, 1)
        )
    )
    assert turned.max() * fps < 40  # the stroll turns by 17 degrees a second


def test_equal_seeds_give_equal_motions(standing_clips):
    clips = strolling_clips(standing_clips)
    one, two = (long_motion(np.random.default_rng(8), clips, "test", frames=70, fps=25) for _ in range(2))
    np.testing.assert_array_equal(one.rotations, two.rotations)


def test_a_split_without_a_clip_is_refused(standing_clips):
    with pytest.raises(PosecError, match=r"no deepmimic clip of split 'val' lasts 0.8 s"):
        long_motion(np.random.default_rng(0), strolling_clips(standing_clips), "val", frames=9, fps=30)
