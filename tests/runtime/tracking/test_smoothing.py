"""Smoothing: calm at rest, quick in motion, bones of constant length, people bridged over gaps."""

import numpy as np
import pytest
from upright_people import frame_of, upright

from toolkit.runtime.pose import MUPOTS17
from toolkit.runtime.tracking.smoothing import OneEuroSettings, Smoother, restore_bones

HERE = (0.0, 0.0, 4000.0)
WRIST = MUPOTS17.index("right_wrist")


def smoothers():
    return {"one-euro": Smoother(MUPOTS17, OneEuroSettings()), "exponential": Smoother(MUPOTS17)}


def noisy(rng, bones, sigma=0.05):
    bones = bones + rng.normal(0, sigma, bones.shape)
    return (bones / np.linalg.norm(bones, axis=1, keepdims=True)).astype(np.float32)


def acceleration(frames):
    return np.linalg.norm(np.diff(np.array(frames), n=2, axis=0), axis=-1).mean()


@pytest.mark.parametrize("name", ["one-euro", "exponential"])
def test_a_person_at_rest_shakes_a_third_as_much(name):
    rng, smoother = np.random.default_rng(0), smoothers()[name]
    raw, calm = [], []
    for index in range(120):
        people, _ = frame_of((HERE, noisy(rng, upright())))
        raw.append(people.joints_mm[0])
        calm.append(smoother.update(people, [1], index / 60).joints_mm[0])
    assert acceleration(calm[20:]) < acceleration(raw[20:]) / 3


@pytest.mark.parametrize("rate", [30.0, 60.0])
def test_one_euro_follows_a_fast_arm_within_40_ms(rate):
    """The arm rises by 90 degrees in a fifth of a second; the delay is that of half the way."""
    smoother = smoothers()["one-euro"]
    times = np.arange(int(2 * rate)) / rate
    angles = 90 * np.clip((times - 1) / 0.2, 0, 1)
    heights = []
    for seconds, angle in zip(times, angles, strict=True):
        people, _ = frame_of((HERE, upright(angle)))
        heights.append(smoother.update(people, [1], seconds).joints_mm[0, WRIST, 1])
    before, after = heights[0], frame_of((HERE, upright(90)))[0].joints_mm[0, WRIST, 1]
    halfway = np.interp((before + after) / 2, heights[::-1], times[::-1])
    true_heights = [frame_of((HERE, upright(angle)))[0].joints_mm[0, WRIST, 1] for angle in angles]
    true_halfway = np.interp((before + after) / 2, true_heights[::-1], times[::-1])
    assert 0 <= halfway - true_halfway < 0.04


def test_exponential_takes_three_tenths_of_the_new_picture():
    smoother = smoothers()["exponential"]
    first, _ = frame_of(((0.0, 0.0, 4000.0), upright()))
    second, _ = frame_of(((100.0, 0.0, 4000.0), upright()))
    np.testing.assert_allclose(smoother.update(first, [1], 0.0).centres_px, first.centres_px, atol=1e-4)
    found = smoother.update(second, [1], 0.1)
    np.testing.assert_allclose(found.centres_px, 0.7 * first.centres_px + 0.3 * second.centres_px, atol=1e-3)
    np.testing.assert_allclose(found.roots_mm[0], [30, 0, 4000], atol=0.01)


def test_a_mean_of_poses_keeps_the_lengths_of_bones():
    poses = [frame_of((HERE, upright(angle)))[0].joints_mm for angle in (0, 90)]
    found = restore_bones((poses[0] + poses[1]) / 2, MUPOTS17)
    for joint, length in zip(MUPOTS17.bones, MUPOTS17.bone_lengths_mm, strict=True):
        assert np.linalg.norm(found[0, joint] - found[0, MUPOTS17.parents[joint]]) == pytest.approx(
            length, rel=1e-4
        )


def test_a_first_picture_is_returned_as_it_is_and_no_people_give_no_people():
    for smoother in smoothers().values():
        people, _ = frame_of((HERE, upright(20)), ((900.0, 0.0, 5000.0), upright(70)))
        found = smoother.update(people, [4, 2], 0.0)
        for name in ("scores", "centres_px", "joints_mm", "roots_mm", "joints_px"):
            np.testing.assert_allclose(getattr(found, name), getattr(people, name), rtol=1e-4, atol=0.05)
        assert len(smoother.update(frame_of()[0], [], 0.1)) == 0


def test_people_are_told_apart_by_number_whatever_their_order():
    smoother = smoothers()["exponential"]
    left, right = ((-500.0, 0.0, 4000.0), upright()), ((500.0, 0.0, 4000.0), upright(90))
    smoother.update(frame_of(left, right)[0], [1, 2], 0.0)
    found = smoother.update(frame_of(right, left)[0], [2, 1], 0.1)
    np.testing.assert_allclose(found.roots_mm[:, 0], [500, -500], atol=0.1)


def test_a_lost_person_walks_on_at_its_speed():
    smoother = smoothers()["one-euro"]
    for index in range(30):
        people, _ = frame_of(((20.0 * index, 0.0, 4000.0), upright()))  # 0.6 m/s at 30 Hz
        last = smoother.update(people, [1], index / 30)
    bridged = [smoother.update(frame_of()[0], [], (30 + index) / 30, lost=[1]) for index in range(5)]
    steps = np.diff([last.roots_mm[0, 0], *(found.roots_mm[0, 0] for found in bridged)])
    np.testing.assert_allclose(steps, 20, rtol=0.25)
    assert len(smoother.update(frame_of()[0], [], 1.2)) == 0
    assert len(smoother.update(frame_of()[0], [], 1.3, lost=[1])) == 0  # forgotten


def test_pictures_of_the_same_instant_do_not_divide_by_zero():
    smoother = smoothers()["one-euro"]
    people, _ = frame_of((HERE, upright()))
    for _ in range(3):
        assert np.isfinite(smoother.update(people, [1], 0.0).joints_mm).all()
