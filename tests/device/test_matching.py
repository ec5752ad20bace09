"""One person, one partner."""

import numpy as np
from standing_people import people_at, standing

from toolkit.device.matching import heights_px, match_people, nearest_first, pixels_per_mm, torsos_px
from toolkit.runtime.pose import MUPOTS17


def test_cheapest_pairs_go_first_and_each_person_once():
    costs = np.array([[1.0, 0.5, np.inf], [0.2, 0.4, 9.0]])
    assert nearest_first(costs) == [(1, 0), (0, 1)]
    assert nearest_first(np.full((2, 2), np.inf)) == []
    assert nearest_first(np.zeros((2, 2))) == [(0, 0), (1, 1)]


def test_sizes_are_read_from_the_projection():
    people = people_at((50, 60), px_per_mm=0.2)
    assert np.allclose(pixels_per_mm(people), 0.2)
    assert np.allclose(torsos_px(people, MUPOTS17), 0.2 * 525)
    assert np.allclose(heights_px(people), np.ptp(people.joints_px[0, :, 1]))


def test_a_torso_keeps_its_size_when_it_leans_at_the_camera():
    lying = standing()[:, [0, 2, 1]]
    assert np.allclose(torsos_px(people_at((50, 60), pose=lying), MUPOTS17), 52.5)


def test_people_match_whatever_their_order():
    truth, found = people_at((50, 60), (200, 60), (350, 60)), people_at((352, 61), (49, 62), (201, 60))
    assert sorted(match_people(found, truth, MUPOTS17)) == [(0, 2), (1, 0), (2, 1)]


def test_a_person_found_twice_matches_once():
    pairs = match_people(people_at((55, 60), (51, 60)), people_at((50, 60)), MUPOTS17)
    assert pairs == [(1, 0)]


def test_half_a_torso_away_is_another_person():
    assert match_people(people_at((50 + 26.0, 60)), people_at((50, 60)), MUPOTS17) == [(0, 0)]
    assert match_people(people_at((50 + 26.5, 60)), people_at((50, 60)), MUPOTS17) == []


def test_no_people_match_no_people():
    assert match_people(people_at(), people_at((50, 60)), MUPOTS17) == []
    assert match_people(people_at((50, 60)), people_at(), MUPOTS17) == []
    assert heights_px(people_at()).shape == (0,)
