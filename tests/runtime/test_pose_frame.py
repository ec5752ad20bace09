"""PoseFrame: one person by index, several by mask, slice or indices, and iteration."""

import numpy as np
import pytest

from toolkit.runtime.pose_frame import Person, PoseFrame

VALUES = np.random.default_rng(0)
FRAME = PoseFrame(
    *(VALUES.random((3, *shape), np.float32) for shape in ((), (2,), (17, 3), (3,), (17, 2))),
)


@pytest.mark.parametrize(
    ("which", "kept"),
    [
        (np.array([True, False, True]), [0, 2]),
        ([True, False, True], [0, 2]),
        (np.array([2, 0]), [2, 0]),
        (slice(1, None), [1, 2]),
        (FRAME.scores > 2, []),
        ([], []),
    ],
)
def test_a_mask_a_slice_or_indices_select_people(which, kept):
    found = FRAME[which]
    assert isinstance(found, PoseFrame)
    for name in ("scores", "centres_px", "joints_mm", "roots_mm", "joints_px"):
        assert np.array_equal(getattr(found, name), getattr(FRAME, name)[np.array(kept, int)])


@pytest.mark.parametrize("index", [1, np.int64(1), -2])
def test_an_index_selects_one_person(index):
    person = FRAME[index]
    assert isinstance(person, Person)
    assert person.score == float(FRAME.scores[1])
    assert np.array_equal(person.joints_mm, FRAME.joints_mm[1])


def test_iteration_yields_every_person_in_order():
    assert [person.score for person in FRAME] == FRAME.scores.tolist()


def test_an_empty_frame_stays_empty_by_an_empty_mask():
    empty = FRAME[:0]
    assert len(empty[empty.scores > 0.5]) == 0
    assert list(empty) == []


def test_a_mask_of_another_length_and_an_index_beyond_the_people_are_refused():
    with pytest.raises(IndexError):
        FRAME[np.array([True, False])]
    with pytest.raises(IndexError):
        FRAME[3]
