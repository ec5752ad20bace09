"""People over time: evidence for a birth, gaps that are bridged, velocities."""

import numpy as np
import pytest
from upright_people import frame_of, upright

from toolkit.runtime.pose import MUPOTS17
from toolkit.runtime.tracking.people_over_time import PeopleOverTime
from toolkit.runtime.tracking.smoothing import OneEuroSettings, Smoother


def walker(index, *, rate=30.0, speed=1200.0, start=-800.0, depth=4000.0):
    """Return a person who walks to the right at `speed` mm/s."""
    return (start + speed * index / rate, 0.0, depth), upright()


def over_time():
    return PeopleOverTime(Smoother(MUPOTS17, OneEuroSettings()))


@pytest.mark.parametrize("missed", range(1, 9))
def test_gaps_of_up_to_five_pictures_are_bridged_and_longer_ones_keep_the_number(missed):
    following, found = over_time(), []
    for index in range(40):
        people = [] if 20 <= index < 20 + missed else [walker(index)]
        found.append(following.update(*_at(index, *people)))
    counts = [len(tracked.people) for tracked in found]
    assert counts[:20] == [1] * 20
    assert counts[20 : 20 + missed] == [1] * min(missed, 5) + [0] * max(0, missed - 5)
    assert counts[20 + missed :] == [1] * (20 - missed)
    bridged = [tracked.bridged.tolist() for tracked in found if len(tracked.people)]
    assert sum(map(sum, bridged)) == min(missed, 5)
    assert {number for tracked in found for number in tracked.numbers.tolist()} == {1}
    # A bridged person is where the walker is, to a few centimetres.
    for index, tracked in enumerate(found[20 : 20 + min(missed, 5)], 20):
        assert abs(tracked.people.roots_mm[0, 0] - walker(index)[0][0]) < 150


def test_a_walkers_velocity_is_in_mm_per_second():
    following = over_time()
    for index in range(45):
        tracked = following.update(*_at(index, walker(index, speed=900.0)))
    np.testing.assert_allclose(tracked.root_velocities_mm_s[0], [900, 0, 0], atol=50)
    np.testing.assert_allclose(tracked.velocities_mm_s[0], 0, atol=5)
    assert tracked.velocities_mm_s.shape == (1, 17, 3)


def test_the_velocity_of_an_arm_that_swings_is_that_of_its_wrist():
    following = PeopleOverTime()
    for index in range(31):
        tracked = following.update(*_at(index, ((0.0, 0.0, 4000.0), upright(3.0 * index))))
    joints = [frame_of(((0.0, 0.0, 4000.0), upright(3.0 * index)))[0].joints_mm[0] for index in (29, 30)]
    true = 30 * (joints[1] - joints[0])[MUPOTS17.index("right_wrist")]
    np.testing.assert_allclose(
        tracked.velocities_mm_s[0, MUPOTS17.index("right_wrist")], true, atol=0.1 * np.linalg.norm(true)
    )


def test_velocities_of_a_persons_first_picture_are_zero():
    following = over_time()
    following.update(*_at(0, walker(0)))
    tracked = following.update(*_at(1, walker(1), walker(1, start=900.0, depth=6000.0)))
    assert tracked.numbers.tolist() == [1, 2]
    assert not tracked.velocities_mm_s[1].any()
    assert not tracked.root_velocities_mm_s[1].any()


def test_a_weak_detection_never_becomes_a_person_and_a_person_may_become_weak():
    following = over_time()
    for index in range(60):
        person, table = walker(index, speed=0.0), walker(index, speed=0.0, start=900.0)
        scores = [0.9 if index < 3 else 0.26, 0.25 + 0.12 * (index % 2)]
        people, evidence = frame_of(person, table, scores=scores)
        tracked = following.update(people, index / 30, evidence)
        assert tracked.numbers.tolist() == [1]


def test_a_fair_detection_is_a_person_from_its_second_picture_on():
    following = over_time()
    counts = []
    for index in range(3):
        people, evidence = frame_of(walker(index), scores=[0.45])
        counts.append(len(following.update(people, index / 30, evidence).people))
    assert counts == [0, 1, 1]


def test_a_spark_of_one_picture_is_no_person():
    following = over_time()
    for index in range(12):
        sparks = [walker(index, start=-800.0 + 500.0 * (index % 4), depth=3000.0)] if index % 3 == 0 else []
        people, evidence = frame_of(*sparks, scores=[0.5] * len(sparks))
        assert not len(following.update(people, index / 30, evidence).people)


def _at(index, *people, rate=30.0):
    found, evidence = frame_of(*people)
    return found, index / rate, evidence


def test_a_person_who_gets_a_new_track_in_place_leaves_no_ghost():
    """The detection jumps in depth, so that a new track begins where the old one would be bridged."""
    following = over_time()
    for index in range(20):
        depth = 4000.0 if index < 10 else 9000.0
        tracked = following.update(*_at(index, ((0.0, 0.0, depth), upright())))
        assert len(tracked.people) == 1
    assert tracked.numbers.tolist() == [2]


def test_someone_seen_for_two_pictures_is_not_bridged():
    following = over_time()
    counts = []
    for index in range(6):
        tracked = following.update(*_at(index, *([walker(index)] if index < 2 else [])))
        counts.append(len(tracked.people))
    assert counts == [1, 1, 0, 0, 0, 0]
