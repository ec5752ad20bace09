"""Metrics over time on cases whose values are computed by hand."""

from pathlib import Path

import numpy as np
import pytest
from upright_people import frame_of, upright

from toolkit.evaluation.clips.clip_file import LabelledClip
from toolkit.evaluation.clips.clip_metrics import measure
from toolkit.evaluation.clips.follow import Followed, follow
from toolkit.evaluation.joints import CENTRE_JOINTS
from toolkit.evaluation.scene_file import Scene
from toolkit.runtime.pose import MUPOTS17
from toolkit.runtime.tracking.people_over_time import TrackedPeople

HERE = (0.0, 0.0, 4000.0)
STANDING = frame_of((HERE, upright()))[0].joints_mm[0].astype(float)


def followed(found, truth=None, *, fps=60.0, numbers=None, scored=None, false_tracks=0):
    """Return a clip of one person from poses (T, J, 3)."""
    found = np.asarray(found, float)[:, None]
    truth = (
        np.repeat(STANDING[None, None], len(found), axis=0) if truth is None else np.asarray(truth)[:, None]
    )
    numbers = np.ones((len(found), 1), int) if numbers is None else np.array(numbers)[:, None]
    found[numbers[:, 0] == 0] = np.nan
    scored = np.ones(numbers.shape, bool) if scored is None else np.array(scored, bool)[:, None]
    bridged = np.zeros(numbers.shape, bool)
    return Followed(fps, truth, found, numbers, scored, bridged, false_tracks)


def test_a_perfect_clip_has_no_error():
    row = measure([followed([STANDING] * 6)], MUPOTS17)
    for name in ("mpjpe_mm", "mpjve_mm", "acceleration_mm", "true_acceleration_mm", "sides_exchanged"):
        assert row[name] == pytest.approx(0, abs=1e-9), name
    assert (row["pck_rel150"], row["found_share"], row["facing_exchanged"]) == (100, 1, 0)
    assert (row["id_switches"], row["gaps"], row["false_tracks_per_min"]) == (0, 0, 0)
    assert row["delay_ms"] is None  # nothing moves


def test_a_pose_that_jumps_by_10_mm_at_every_frame_accelerates_by_40():
    # Errors +5, -5, +5 mm: velocities differ by 10 mm per frame, accelerations by 20 mm per frame squared.
    jumps = STANDING + 5.0 * np.array([1, -1] * 4)[:, None, None] * np.array([1.0, 0, 0])
    row = measure([followed(jumps)], MUPOTS17)
    assert row["mpjpe_mm"] == pytest.approx(5)
    assert row["mpjve_mm"] == pytest.approx(10)
    assert row["acceleration_mm"] == pytest.approx(20)


def test_differences_are_not_taken_across_a_gap_or_a_hidden_frame():
    jumps = STANDING + 5.0 * np.array([1, -1] * 4)[:, None, None] * np.array([1.0, 0, 0])
    row = measure([followed(jumps, numbers=[1, 1, 0, 1, 1, 0, 1, 1])], MUPOTS17)
    assert row["mpjve_mm"] == pytest.approx(10)  # of three pairs
    assert row["acceleration_mm"] is None
    hidden = measure([followed(jumps, scored=[1, 1, 0, 1, 1, 0, 1, 1])], MUPOTS17)
    assert hidden["acceleration_mm"] is None
    assert hidden["people"] == 6


def test_a_delay_of_two_frames_is_measured_in_milliseconds():
    times = np.arange(120) / 60
    swing = np.sin(2 * np.pi * times)[:, None, None] * np.array([400.0, 0, 0])  # up to 2.5 m/s
    truth, late = STANDING + swing, STANDING + np.concatenate([swing[:1], swing[:1], swing[:-2]])
    row = measure([followed(late + 7.0, truth)], MUPOTS17)
    assert row["delay_ms"] == pytest.approx(2000 / 60, rel=0.05)
    assert measure([followed(truth + 7.0, truth)], MUPOTS17)["delay_ms"] == pytest.approx(0, abs=0.5)


def test_exchanged_sides_and_facings_are_counted_apart():
    spread = (
        STANDING + np.array([0.0, 0.0, 1.0]) * np.arange(17)[:, None] * 10
    )  # left and right differ in depth
    sides = measure([followed([spread[list(MUPOTS17.mirror)], spread], [spread, spread])], MUPOTS17)
    assert sides["sides_exchanged"] == pytest.approx(50)
    turned = STANDING * [-1, 1, -1]  # half a turn about the vertical
    facing = measure([followed([turned, STANDING, STANDING, turned])], MUPOTS17)
    assert facing["facing_exchanged"] == pytest.approx(50)


def test_switches_and_gaps_are_counted_per_person():
    row = measure([followed([STANDING] * 9, numbers=[1, 1, 2, 2, 0, 2, 0, 0, 3])], MUPOTS17)
    assert (row["id_switches"], row["gaps"]) == (2, 2)
    assert row["found_share"] == pytest.approx(6 / 9)
    assert row["pck_rel150"] == pytest.approx(100 * 6 / 9)


def test_false_tracks_are_per_minute_of_video():
    row = measure(
        [followed([STANDING] * 60, fps=60.0, false_tracks=1), followed([STANDING] * 60, fps=60.0)], MUPOTS17
    )
    assert row["false_tracks_per_min"] == pytest.approx(30)


def tracked(*people, numbers):
    found, _ = frame_of(*people)
    joints = np.zeros_like(found.joints_mm)
    return TrackedPeople(found, np.array(numbers, int), np.zeros(len(found), bool), joints, joints[:, 0])


def clip_of(*frames, visible=None):
    people = len(frames[0])
    visible = np.ones((len(frames), people)) if visible is None else np.array(visible)
    scenes = [Scene(frame_of(*frame)[0], seen, 500.0) for frame, seen in zip(frames, visible, strict=True)]
    return LabelledClip("a", Path("a"), 30.0, 500.0, tuple(scenes))


def follow_all(found, clip):
    return follow(found, clip, skeleton=MUPOTS17, centre_joints=CENTRE_JOINTS, names=MUPOTS17.names)


def at(x, z=4000.0):
    return (float(x), 0.0, float(z)), upright()


def test_two_people_in_one_place_keep_the_pairs_of_the_frame_before():
    # They pass each other; in the middle each detection is nearer to the other person.
    clip = clip_of((at(-100), at(100)), (at(-15), at(15)), (at(100), at(-100)))
    found = [
        tracked(at(-100), at(100), numbers=[1, 2]),
        tracked(at(10), at(-10), numbers=[1, 2]),
        tracked(at(100), at(-100), numbers=[1, 2]),
    ]
    result = follow_all(found, clip)
    np.testing.assert_array_equal(result.numbers, [[1, 2]] * 3)


def test_a_track_without_a_person_is_false_and_one_of_a_hidden_person_is_not():
    clip = clip_of(*[(at(-800), at(800))] * 4, visible=[[1.0, 0.1]] * 4)
    found = [tracked(at(-800), at(800), at(0, 9000), numbers=[1, 2, 3])] * 4
    result = follow_all(found, clip)
    assert result.false_tracks == 1
    np.testing.assert_array_equal(result.scored, [[True, False]] * 4)
    np.testing.assert_array_equal(result.numbers, [[1, 2]] * 4)


def test_a_person_who_is_not_found_has_no_pose():
    clip = clip_of((at(-800), at(800)), (at(-800), at(800)))
    result = follow_all([tracked(at(800), numbers=[5]), tracked(numbers=[])], clip)
    np.testing.assert_array_equal(result.numbers, [[0, 5], [0, 0]])
    assert np.isnan(result.found_mm[:, 0]).all()
    np.testing.assert_allclose(result.found_mm[0, 1], result.truth_mm[0, 1], atol=1e-3)
