"""The overlay: people are drawn, the rest of the picture is unchanged, and the edges are safe."""

import numpy as np
import pytest
from networks import tiny_decoder, tiny_spec
from recorded_heads import Recorded, recorded_heads

from toolkit.runtime.decoding.decode import decode_heads, no_people
from toolkit.runtime.decoding.kinematics import layers
from toolkit.runtime.pose import MUPOTS17, PoseFrame
from toolkit.runtime.preprocess import place
from toolkit.runtime.tracking.track import Tracker
from toolkit.runtime.video.draw import LEFT, RIGHT, draw_people, side_colours

SPEC = tiny_spec()


def people_on(height, width, *recorded):
    return decode_heads(
        recorded_heads(recorded, SPEC), SPEC, layers(tiny_decoder()), letterbox=place(height, width, SPEC)[0]
    )


@pytest.mark.parametrize("size", [(360, 640), (1080, 1920), (40, 30)])
@pytest.mark.parametrize("inset", [False, True])
def test_people_are_drawn_on_a_copy(size, inset):
    picture = np.full((*size, 3), 90, np.uint8)
    people = people_on(*size, Recorded(3, 3, 0.9, depth=1.5), Recorded(4, 8, 0.6, depth=1.0))
    assert len(people) == 2
    drawn = draw_people(picture, people, MUPOTS17, numbers=[1, 2], inset=inset)
    assert (picture == 90).all()
    assert drawn.shape == (size[0], size[1] + (size[0] // 2 if inset else 0), 3)
    changed = (drawn[:, : size[1]] != 90).any(axis=-1)
    assert 0.001 < changed.mean() < 0.6
    x, y = np.clip(people.joints_px[0, MUPOTS17.index("spine")].astype(int), 0, [size[1] - 1, size[0] - 1])
    assert changed[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].any()


def test_no_people_leave_the_picture_unchanged():
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    assert (draw_people(picture, no_people(SPEC), MUPOTS17) == picture).all()
    assert draw_people(picture, no_people(SPEC), MUPOTS17, inset=True).shape == (120, 220, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 5), (15, 15)])
def test_a_picture_without_room_for_views_gets_none(size):
    picture = np.full((*size, 3), 90, np.uint8)
    people = people_on(60, 80, Recorded(3, 3, 0.9, depth=1.5))
    assert draw_people(picture, people, MUPOTS17, numbers=[1], inset=True).shape == (*size, 3)


def test_sides_have_their_own_colours():
    colours = dict(zip(MUPOTS17.bones, side_colours(MUPOTS17), strict=True))
    assert colours[MUPOTS17.index("left_wrist")] == LEFT
    assert colours[MUPOTS17.index("right_ankle")] == RIGHT
    assert colours[MUPOTS17.index("neck")] not in (LEFT, RIGHT)
    picture = np.zeros((360, 640, 3), np.uint8)
    drawn = draw_people(picture, people_on(360, 640, Recorded(4, 6, 0.9, depth=0.5)), MUPOTS17).reshape(-1, 3)
    assert (drawn == LEFT).all(axis=1).any()
    assert (drawn == RIGHT).all(axis=1).any()


def test_people_far_outside_do_not_break_it():
    people = people_on(120, 160, Recorded(3, 3, depth=1.5))
    for shift in (-1e9, 1e9, 400.0):
        far = PoseFrame(
            people.scores,
            people.centres_px,
            people.joints_mm,
            people.roots_mm * 100,
            people.joints_px + np.float32(shift),
        )
        assert draw_people(np.zeros((120, 160, 3), np.uint8), far, MUPOTS17, inset=True).shape == (
            120,
            220,
            3,
        )


@pytest.mark.parametrize("field", PoseFrame.__dataclass_fields__)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_people_with_numbers_that_are_not_finite_are_left_out(field, value):
    both = people_on(360, 640, Recorded(4, 3, 0.9, depth=1.5), Recorded(4, 9, 0.6, depth=1.0))
    arrays = {name: getattr(both, name).copy() for name in PoseFrame.__dataclass_fields__}
    arrays[field][1] = value
    picture = np.full((360, 640, 3), 90, np.uint8)
    alone = both[:1]
    drawn = draw_people(picture, PoseFrame(**arrays), MUPOTS17, numbers=[7, 8], inset=True)
    assert (drawn == draw_people(picture, alone, MUPOTS17, numbers=[7], inset=True)).all()
    assert Tracker().update(PoseFrame(**arrays), 0.0).shape == (2,)


def test_labels_of_people_in_one_place_do_not_cover_each_other():
    people = people_on(360, 640, Recorded(4, 6, 0.9, depth=1.5))
    twice = people[np.repeat(np.arange(len(people)), 2)]
    one, two = (
        draw_people(np.full((360, 640, 3), 255, np.uint8), frame, MUPOTS17) for frame in (people, twice)
    )
    dark = [(drawn < 200).all(axis=-1).sum() for drawn in (one, two)]
    assert dark[1] > 1.1 * dark[0]


def test_a_view_with_negative_strides_is_drawn_on():
    picture = np.zeros((120, 160, 3), np.uint8)[:, ::-1]
    assert draw_people(picture, people_on(120, 160, Recorded(3, 3, depth=1.5)), MUPOTS17).any()
