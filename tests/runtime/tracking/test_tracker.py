"""Identities over time: people walk, cross, hide and leave."""

import itertools

import numpy as np
import pytest

from toolkit.runtime.pose import PoseFrame
from toolkit.runtime.tracking.assignment import assign
from toolkit.runtime.tracking.track import Tracker


def frame(*people, body_px=100.0):
    """Return people given as (x_px, y_px, z_m), each a body of `body_px` at 3 m."""
    centres = np.array([person[:2] for person in people], np.float32).reshape(-1, 2)
    depths = np.array([person[2] for person in people], np.float32)
    shape = np.array([[0, -0.5], [0.1, 0], [0, 0.5]], np.float32)
    joints = centres[:, None] + shape * (body_px * 3 / depths)[:, None, None]
    roots = np.stack([depths * 0, depths * 0, depths * 1000], axis=1).astype(np.float32)
    return PoseFrame(
        np.ones(len(people), np.float32),
        centres,
        np.zeros((len(people), 3, 3), np.float32),
        roots,
        joints.astype(np.float32),
    )


def numbers_over(frames, rate=10.0):
    tracker = Tracker()
    return [tracker.update(people, number / rate).tolist() for number, people in enumerate(frames)]


def test_numbers_begin_at_one_and_stay_whatever_the_order():
    found = numbers_over(
        [
            frame((100, 100, 3), (400, 100, 3)),
            frame((405, 100, 3), (102, 101, 3)),
            frame((104, 100, 3), (410, 100, 3)),
        ]
    )
    assert found == [[1, 2], [2, 1], [1, 2]]


def test_no_people_are_an_empty_answer():
    tracker = Tracker()
    assert tracker.update(frame(), 0.0).shape == (0,)
    assert tracker.update(frame((9, 9, 3)), 0.1).tolist() == [1]
    assert tracker.update(frame(), 0.2).shape == (0,)


def test_people_who_cross_at_different_depths_keep_their_numbers():
    frames = [frame((100 + 20 * t, 200, 2.5), (500 - 20 * t, 205, 4.5)) for t in range(21)]
    assert numbers_over(frames) == [[1, 2]] * 21


def test_people_who_cross_at_one_depth_keep_their_direction():
    frames = [frame((100 + 20 * t, 200, 3), (500 - 20 * t, 200, 3)) for t in range(21)]
    assert numbers_over(frames) == [[1, 2]] * 21


def test_a_fast_walker_is_followed():
    # Half a body per picture, two in line: each is nearer to where the other was than to where they were.
    frames = [frame((45 * t, 200, 3), (45 * t + 75, 200, 3)) for t in range(12)]
    assert numbers_over(frames) == [[1, 2]] * 12


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (2, 5), (4, 4), (5, 6)])
def test_assignments_are_the_cheapest_of_all(shape):
    random = np.random.default_rng(shape[1])
    for _ in range(20):
        cost = random.integers(0, 9, shape).astype(float)
        chosen = assign(cost)
        assert len(set(chosen.tolist())) == shape[0]
        everyone = range(shape[0])
        least = min(
            sum(cost[row, way[row]] for row in everyone)
            for way in itertools.permutations(range(shape[1]), shape[0])
        )
        assert cost[everyone, chosen].sum() == least


def test_who_is_hidden_for_a_moment_comes_back():
    frames = (
        [frame((100, 100, 3), (300, 100, 3))] * 3
        + [frame((100, 100, 3))] * 5
        + [frame((300, 100, 3), (100, 100, 3))]
    )
    assert numbers_over(frames)[-1] == [2, 1]


def test_who_is_gone_for_long_comes_back_new_and_no_number_is_given_twice():
    frames = [frame((100, 100, 3))] + [frame()] * 15 + [frame((100, 100, 3))]
    assert numbers_over(frames)[-1] == [2]


def test_a_person_elsewhere_gets_a_new_number():
    assert numbers_over([frame((100, 100, 3)), frame((400, 100, 3))]) == [[1], [2]]
    assert numbers_over([frame((100, 100, 2)), frame((100, 100, 6))]) == [[1], [2]]


def test_times_that_run_backwards_are_refused():
    tracker = Tracker()
    tracker.update(frame((100, 100, 3)), 5.0)
    with pytest.raises(ValueError, match="start a new Tracker"):
        tracker.update(frame(), 4.0)


def test_pictures_of_the_same_instant_do_not_divide_by_zero():
    tracker = Tracker()
    assert [tracker.update(frame((100 + t, 100, 3)), 0.0).tolist() for t in range(3)] == [[1]] * 3
