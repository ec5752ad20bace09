"""Key points: their peaks and places in the heads, and which person they pull."""

import cv2
import numpy as np
import pytest
from keypoint_people import SPEC, decoded, same, true_person
from recorded_heads import mark, recorded_heads

from toolkit.runtime.decoding.keypoints import Keypoints, find_keypoints, match_keypoints
from toolkit.runtime.errors import HeadError


def test_key_points_lie_where_they_were_written():
    heads, places = (
        recorded_heads([], SPEC),
        {2: (100.3, 57.8), 5: (0.0, 0.0), 12: (447.0, 255.0), 0: (50.0, 50.0)},
    )
    for channel, (x, y) in places.items():
        mark(heads, SPEC, channel, x, y, 0.5 + channel / 100)
    seen = find_keypoints(heads, SPEC, 0.2)
    assert seen.kinds.tolist() == [1, 4, 11]  # channel 0 is no joint
    assert seen.points == pytest.approx(np.array([(100.3, 57.8), (0.0, 0.0), (447.0, 255.0)]), abs=1e-3)
    assert seen.heat == pytest.approx([0.52, 0.55, 0.62])


def test_heads_in_the_order_of_tflite_give_the_same_people():
    """TFLite's heads are views (C, h, w) of arrays (h, w, C)."""
    person = true_person(3)
    heads = recorded_heads([person], SPEC)
    mark(heads, SPEC, 4, 200.0, 100.0)
    views = {
        name: np.ascontiguousarray(head.transpose(1, 2, 0)).transpose(2, 0, 1) for name, head in heads.items()
    }
    assert same(decoded(views), decoded(heads))


def test_key_points_that_touch_are_the_higher_one():
    heads = recorded_heads([], SPEC)
    heads["keypoints"][3, 5, 5], heads["keypoints"][3, 6, 6], heads["keypoints"][3, 8, 8] = 0.7, 0.8, 0.4
    assert find_keypoints(heads, SPEC, 0.2).heat == pytest.approx([0.8, 0.4])


def test_heads_of_key_points_that_are_no_numbers_are_refused():
    heads = recorded_heads([true_person(0)], SPEC)
    mark(heads, SPEC, 4, 200.0, 100.0)
    heads["keypoint_offset"][4, 0, 0] = np.nan  # no key point there
    assert len(decoded(heads)) == 1
    heads["keypoint_offset"][4, 6, 12] = np.inf
    assert len(decoded(heads, None)) == 1
    with pytest.raises(HeadError, match="'keypoint_offset'"):
        decoded(heads)
    heads["keypoints"][2, 1, 1] = np.nan
    with pytest.raises(HeadError, match="'keypoints'"):
        decoded(heads)


def test_a_network_that_lacks_a_head_of_key_points_is_refused():
    heads = recorded_heads([], SPEC)
    del heads["keypoint_offset"]
    with pytest.raises(HeadError, match=r"'keypoint_offset' must have shape \(26, 16, 28\) and is missing"):
        decoded(heads)


def keypoints(*rows):
    kinds, x, y, heat = np.array(rows, np.float32).T
    return Keypoints(kinds.astype(int), np.stack([x, y], 1), heat)


def matched(at, seen, reach=10.0, least_heat=0.0):
    """Return targets (N, K, 2) and the pull (N, K) for joints (N, K, 2)."""
    at = np.array(at, np.float32)
    reaches = np.full(at.shape[:2], reach, np.float32)
    found = match_keypoints(at.transpose(0, 2, 1), reaches, seen, least_heat=least_heat)
    return found.targets.transpose(0, 2, 1), found.pull


def test_a_key_point_pulls_less_with_distance_and_not_beyond_its_reach():
    at = [[(10, 10)], [(200, 10)]]
    pulls = [matched(at, keypoints((0, 10 + x, 10, 0.8)))[1][0, 0] for x in (0, 5, 9, 10, 30)]
    assert pulls == pytest.approx([0.8, 0.8 * 0.75**2, 0.8 * 0.19**2, 0, 0])
    towards, pull = matched(at, keypoints((0, 15, 10, 0.8)))
    assert towards[:, 0].tolist() == [[15, 10], [200, 10]]
    assert pull[1, 0] == 0


def test_a_faint_key_point_pulls_little():
    pulls = [
        matched([[(0, 0)]], keypoints((0, 0, 0, heat)), least_heat=0.2)[1][0, 0]
        for heat in (0.1, 0.2, 0.6, 1.0)
    ]
    assert pulls == pytest.approx([0, 0, 0.5, 1])


def test_the_nearer_of_two_people_has_the_key_point_and_the_nearer_of_two_key_points_the_joint():
    towards, pull = matched([[(10, 10)], [(18, 10)]], keypoints((0, 12, 10, 0.9)))
    assert pull[0, 0] > 10 * pull[1, 0]
    towards, pull = matched([[(10, 10)]], keypoints((0, 11, 10, 0.9), (0, 3, 10, 0.9)))
    assert towards[0, 0] == pytest.approx([11, 10], abs=0.1)


def test_two_side_by_side_take_the_key_point_that_leaves_each_one():
    at = [[(10, 10), (50, 50)], [(14, 10), (90, 90)]]
    towards, pull = matched(
        at, keypoints((0, 15, 10, 0.9), (0, 9, 10, 0.8), (1, 53, 50, 0.7), (1, 30, 30, 1))
    )
    assert towards[:, 0, 0] == pytest.approx([9, 15], abs=0.3)
    assert towards[0, 1] == pytest.approx([53, 50])
    assert pull[1, 1] == 0


@pytest.mark.parametrize("least_heat", [0.0, 0.3])
def test_no_pull_jumps(least_heat):
    """The pull is continuous, so that rounding to int8 does not switch a joint to another key point."""
    at = np.array([[(10, 10)], [(18, 10)]], np.float32)
    pulls = []
    for step in np.linspace(
        0, 1, 801
    ):  # one key point comes from outside, passes both joints and leaves; another cools
        towards, pull = matched(
            at, keypoints((0, -10 + 50 * step, 10, 0.9), (0, 16, 10, 1 - step)), least_heat=least_heat
        )
        pulls.append(np.concatenate([(pull[..., None] * (towards - at)).ravel(), pull.ravel()]))
    jumps = np.abs(np.diff(pulls, axis=0)).max(axis=0)
    assert (jumps < 0.05 * np.ptp(pulls, axis=0) + 1e-4).all()


@pytest.mark.parametrize("seed", range(4))
def test_peaks_are_the_cells_that_no_neighbour_exceeds(seed):
    """Also at the borders of a map, where the lines of the next map follow in memory, and on plateaus."""
    random = np.random.default_rng(seed)
    heads = recorded_heads([], SPEC)
    heads["keypoints"][:] = (random.integers(0, 12, heads["keypoints"].shape) / 12).astype(np.float32)
    found = find_keypoints(heads, SPEC, 0.3)
    expected = []
    for channel in range(1, 13):
        heat = heads["keypoints"][channel]
        around = cv2.dilate(heat, np.ones((3, 3), np.uint8))
        expected += [
            (channel - 1, heat[cell])
            for cell in zip(*np.nonzero((heat >= around) & (heat > 0.3)), strict=True)
        ]
    assert list(zip(found.kinds.tolist(), found.heat.tolist(), strict=True)) == [
        (kind, float(heat)) for kind, heat in expected
    ]
