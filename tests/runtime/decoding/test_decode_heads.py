"""Heads to people: against plain arithmetic, one person and one joint at a time."""

import math

import numpy as np
import pytest
from networks import tiny_decoder, tiny_spec
from recorded_heads import Recorded, recorded_heads, wide_spec

from toolkit.runtime.decoding.decode import DecodeOptions, HeadError, decode_heads
from toolkit.runtime.decoding.duplicates import Duplicates
from toolkit.runtime.decoding.intrinsics import pinhole
from toolkit.runtime.decoding.kinematics import layers
from toolkit.runtime.pose import MUPOTS17
from toolkit.runtime.preprocess import place

SPEC = wide_spec()
DECODER = layers(tiny_decoder())


def box_of(height=720, width=1280, spec=SPEC):
    return place(height, width, spec)[0]


def people_of(*people, spec=SPEC, box=None, focal_px=None, **options):
    box = box or box_of(spec=spec)
    camera = None if focal_px is None else pinhole(focal_px, box.picture_size)
    heads, options = recorded_heads(people, spec), DecodeOptions(**options)
    return decode_heads(heads, spec, DECODER, letterbox=box, camera=camera, options=options)


def random_person(seed, row=12, column=20, score=0.8):
    random = np.random.default_rng(seed)
    return Recorded(
        row,
        column,
        score,
        tuple(random.uniform(-1, 1, 2)),
        tuple(random.uniform(-1, 1, 8)),
        tuple(random.uniform(-1, 1, 6)),
        float(random.uniform(-1, 1)),
    )


def turned(axis, angle, vector):
    """Return a vector turned about a unit axis (Rodrigues)."""
    c, s = math.cos(angle), math.sin(angle)
    return vector * c + np.cross(axis, vector) * s + axis * np.dot(axis, vector) * (1 - c)


def by_hand(person, box, focal_px, spec=SPEC):
    """Return (centre_px, joints_mm, root_mm, joints_px) of one person in float64, as in PoseSpec."""
    values = np.array(person.embedding)
    weights = tiny_decoder()
    values = weights["weight_0"] @ values + weights["bias_0"]
    values = np.where(values > 0, values, 0.2 * values)
    bones = (weights["weight_1"] @ values + weights["bias_1"]).reshape(-1, 3)
    torso = np.zeros((17, 3))
    for bone, joint in enumerate(MUPOTS17.bones):
        direction = bones[bone] / np.linalg.norm(bones[bone])
        torso[joint] = torso[MUPOTS17.parents[joint]] + MUPOTS17.bone_lengths_mm[bone] * direction
    y = np.array(person.rotation[:3]) / np.linalg.norm(person.rotation[:3])
    x = np.array(person.rotation[3:]) - np.dot(person.rotation[3:], y) * y
    x /= np.linalg.norm(x)
    seen = torso @ np.stack([x, y, np.cross(x, y)])  # rows are the axes in the frame of the viewing ray
    centre = 8 * np.array([person.column + person.offset[0], person.row + person.offset[1]])
    scale = 64 * math.exp(-person.depth) / 1000
    joints = np.array([centre + scale * (seen[j, :2] - (seen[1, :2] + seen[14, :2]) / 2) for j in range(17)])

    def back(point):
        border = np.array([box.left, box.top])
        return (point + 0.5 - border) / np.array(box.scales) - 0.5

    middle = np.array([(box.picture_size[1] - 1) / 2, (box.picture_size[0] - 1) / 2])
    ray = np.append((back(centre) - middle) / focal_px, 1)
    ray /= np.linalg.norm(ray)
    axis = np.cross([0, 0, 1], ray)
    sine = np.linalg.norm(axis)
    camera = np.array([turned(axis / sine, math.asin(sine), joint) for joint in seen])
    z_mm = 1000 * focal_px * box.scale * math.exp(person.depth) / 64
    root_mm = z_mm * np.append((back(joints[14]) - middle) / focal_px, 1)
    return back(centre), camera, root_mm, np.array([back(joint) for joint in joints])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [(720, 1280), (480, 640), (1080, 1000), (100, 170)])
def test_one_person_agrees_with_plain_arithmetic(seed, size):
    box, person = box_of(*size), random_person(seed, row=4 + 4 * seed, column=5 + 9 * seed)
    found = people_of(person, box=box, focal_px=700.0)[0]
    centre_px, joints_mm, root_mm, joints_px = by_hand(person, box, 700.0)
    assert found.score == pytest.approx(0.8)
    assert found.centre_px == pytest.approx(centre_px, abs=2e-3)
    assert found.joints_mm == pytest.approx(joints_mm, abs=0.05)
    assert found.root_mm == pytest.approx(root_mm, rel=1e-4)
    assert found.joints_px == pytest.approx(joints_px, abs=0.02)


def test_many_people_are_what_each_is_alone():
    people = [
        random_person(seed, row, column, score)
        for seed, (row, column, score) in enumerate(
            [(3, 4, 0.9), (3, 30, 0.8), (26, 50, 0.7), (28, 10, 0.6), (15, 25, 0.5), (10, 45, 0.4)]
        )
    ]
    frame = people_of(*people, duplicates=Duplicates(0.0, 2.0, 0.0))
    assert len(frame) == 6
    for found, person in zip(frame, people, strict=True):
        alone = people_of(person)[0]
        assert found.joints_mm == pytest.approx(alone.joints_mm, abs=1e-3)
        assert found.root_mm == pytest.approx(alone.root_mm, rel=1e-5)


def test_no_people_give_empty_arrays_of_the_right_shapes():
    frame = people_of()
    assert len(frame) == 0
    assert (frame.joints_mm.shape, frame.joints_px.shape, frame.roots_mm.shape) == (
        (0, 17, 3),
        (0, 17, 2),
        (0, 3),
    )


def test_poses_do_not_depend_on_the_focal_length_where_the_person_is_in_the_middle():
    person = Recorded(16, 28, offset=((447 / 2) / 8 - 28, (255 / 2) / 8 - 16))
    near, far = (people_of(person, box=box_of(256, 448), focal_px=f)[0] for f in (300.0, 900.0))
    assert near.joints_mm == pytest.approx(far.joints_mm, abs=1e-3)
    assert far.root_mm[2] == pytest.approx(3 * near.root_mm[2], rel=1e-5)


def test_without_a_focal_length_the_specification_guesses():
    person = random_person(3)
    guessed, given = people_of(person)[0], people_of(person, focal_px=0.8 * 1280)[0]
    assert guessed.root_mm == pytest.approx(given.root_mm)


def test_the_same_scene_at_twice_the_resolution_is_the_same_in_millimetres():
    person = random_person(4)
    small, large = people_of(person, box=box_of(360, 640))[0], people_of(person, box=box_of(720, 1280))[0]
    assert large.root_mm == pytest.approx(small.root_mm, rel=1e-4)
    assert large.joints_px + 0.5 == pytest.approx(2 * (small.joints_px + 0.5), abs=0.01)


def test_an_upright_person_seen_from_the_front_has_the_left_side_on_the_right():
    # Bone directions of the torso frame: arms out to both sides, the rest down or up.
    directions = np.zeros((16, 3), np.float32)
    for bone, joint in enumerate(MUPOTS17.bones):
        name = MUPOTS17.names[joint]
        if name.endswith(("shoulder", "elbow", "wrist")):
            directions[bone, 0] = 1 if name.startswith("left") else -1
        else:
            directions[bone, 1] = -1 if name.endswith(("knee", "ankle", "hip")) else 1
    decoder = [(np.zeros((48, 8), np.float32), directions.ravel())]
    heads = recorded_heads([Recorded(16, 28)], SPEC)
    person = decode_heads(heads, SPEC, decoder, letterbox=box_of(256, 448))[0]
    x, y = person.joints_px[MUPOTS17.index("left_wrist")] - person.joints_px[MUPOTS17.index("pelvis")]
    assert x > 0 > y
    assert person.joints_px[MUPOTS17.index("head_top"), 1] < person.joints_px[MUPOTS17.index("left_ankle"), 1]
    assert person.joints_mm[MUPOTS17.index("neck")] == pytest.approx([0, -525, 0], abs=5)


def test_a_person_found_twice_stays_once_and_the_better_one_stays():
    frame = people_of(Recorded(12, 20, 0.6), Recorded(12, 22, 0.9, offset=(-2.0, 0.2)))
    assert frame.scores == pytest.approx([0.9])


def test_the_same_limbs_from_two_centres_are_one_person():
    # Centres half a torso apart are not suppressed by themselves; nearly equal joints are.
    torso_cells = 525 * 0.064 / 8
    apart = Recorded(12, 20 + round(0.7 * torso_cells), 0.7)
    assert len(people_of(Recorded(12, 20, 0.9), apart)) == 2
    only_joints = Duplicates(centre_torsos=0.0)
    assert len(people_of(Recorded(12, 20, 0.9), Recorded(12, 22, 0.7), duplicates=only_joints)) == 2
    assert (
        len(people_of(Recorded(12, 20, 0.9), Recorded(12, 22, 0.7, offset=(-1.5, 0)), duplicates=only_joints))
        == 1
    )


def test_a_child_before_an_adult_stays():
    adult, child = Recorded(12, 20, 0.9), Recorded(12, 22, 0.8, offset=(-2.0, 0.0), depth=1.2)
    assert len(people_of(adult, child)) == 2


def test_a_removed_detection_removes_no_other_one():
    # a - b - c in a row: b is a's duplicate, c is b's but not a's.
    step = 0.3 * 525 * 0.064 / 8
    row = [Recorded(12, 20 + 2 * k, 0.9 - 0.1 * k, offset=(k * step - 2 * k, 0.0)) for k in range(3)]
    frame = people_of(*row, duplicates=Duplicates(joints_torsos=0.0))
    assert frame.scores == pytest.approx([0.9, 0.7])


def test_no_more_than_asked():
    people = [Recorded(3, 4 + 8 * k, 0.9 - 0.1 * k, depth=1.0) for k in range(5)]
    assert people_of(*people, most=3).scores == pytest.approx([0.9, 0.8, 0.7])


@pytest.mark.parametrize("name", ["offset", "embedding", "rotation", "depth"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_head_that_is_no_number_where_a_person_is_is_refused(name, value):
    heads = recorded_heads([Recorded(12, 20)], SPEC)
    heads[name][0, 3, 3] = value  # no person there
    assert len(decode_heads(heads, SPEC, DECODER, letterbox=box_of())) == 1
    heads[name][0, 12, 20] = value
    with pytest.raises(HeadError, match=f"head '{name}'"):
        decode_heads(heads, SPEC, DECODER, letterbox=box_of())


def test_a_centre_map_that_is_no_number_is_refused():
    heads = recorded_heads([], SPEC)
    heads["centre"][0, 5, 5] = np.nan
    with pytest.raises(HeadError, match="head 'centre'"):
        decode_heads(heads, SPEC, DECODER, letterbox=box_of())


def test_a_head_of_another_shape_is_refused():
    heads = recorded_heads([], tiny_spec())
    with pytest.raises(
        HeadError, match=r"head 'centre' must have shape \(1, 32, 56\) and has shape \(1, 8, 12\)"
    ):
        decode_heads(heads, SPEC, DECODER, letterbox=box_of())
    with pytest.raises(HeadError, match=r"'depth'.* is missing"):
        decode_heads(
            {name: values for name, values in recorded_heads([], SPEC).items() if name != "depth"},
            SPEC,
            DECODER,
            letterbox=box_of(),
        )


def test_heads_with_channels_last_decode_alike():
    heads = recorded_heads([random_person(5)], SPEC)
    last = {
        name: np.ascontiguousarray(values.transpose(1, 2, 0)).transpose(2, 0, 1)
        for name, values in heads.items()
    }
    one, other = (decode_heads(h, SPEC, DECODER, letterbox=box_of()) for h in (heads, last))
    assert other.joints_mm == pytest.approx(one.joints_mm)
