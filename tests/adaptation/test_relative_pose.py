"""Where a second camera is: synthetic walkers with known cameras, and recordings that do not suffice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from two_cameras import POSES, about_y, sightings

from toolkit.adaptation.offset import find_offset
from toolkit.adaptation.pairs import angles_between
from toolkit.adaptation.relative_pose import relative_pose
from toolkit.errors import PosecError

A, B = POSES


def direction_degrees(found, true):
    cosine = found @ true / np.linalg.norm(found) / np.linalg.norm(true)
    return np.degrees(np.arccos(min(cosine, 1)))


def test_exact_sightings_give_the_exact_pose():
    found = relative_pose(sightings(A), sightings(B, name="b.mp4"))
    assert angles_between(found.pose.rotation, B.rotation) < 0.1
    np.testing.assert_allclose(found.pose.position_mm, B.position_mm, atol=15)
    assert found.share == 1
    assert found.epipolar_px < 0.05


def test_noise_of_a_network_leaves_a_few_degrees():
    found = relative_pose(sightings(A, noise=1), sightings(B, noise=1, name="b.mp4"))
    assert angles_between(found.pose.rotation, B.rotation) < 2
    assert direction_degrees(found.pose.position_mm, B.position_mm) < 3
    assert np.linalg.norm(found.pose.position_mm) == pytest.approx(np.linalg.norm(B.position_mm), rel=0.05)


def test_people_are_matched_by_the_cameras_rotation():
    found = relative_pose(sightings(A, phases=(0.0, 7.0)), sightings(B, phases=(7.0, 0.0), name="b.mp4"))
    assert angles_between(found.pose.rotation, B.rotation) < 0.5
    swapped = found.pairs.rows[:, 0] != found.pairs.rows[:, 1]
    assert swapped.mean() > 0.9


def test_the_offset_of_a_later_start_is_found():
    offset = find_offset(sightings(A, noise=1), sightings(B, noise=1, start_s=1.0, name="b.mp4"))
    assert offset.seconds == pytest.approx(1.0, abs=0.1)
    assert offset.contrast < 0.9


def stood_still(one):
    return replace(one, people=(one.people[0],) * len(one.people))


@pytest.mark.parametrize(
    ("b", "words"),
    [
        (
            sightings(B, start_s=40.0, noise=1, name="b.mp4"),
            "stands out|do not see the same people at one time: one rotation explains",
        ),
        (stood_still(sightings(B, noise=1, name="b.mp4")), "stands out"),
        (sightings(A, noise=0.1, name="b.mp4"), r"are one camera: joints lie \d\.\d px apart"),
        (sightings(B, phases=(), name="b.mp4"), "both see people at 0 instants"),
    ],
    ids=["unsynchronized", "no motion", "one camera twice", "no people"],
)
def test_recordings_that_do_not_suffice_are_refused_with_the_figure(b, words):
    with pytest.raises(PosecError, match=words):
        relative_pose(sightings(A, noise=1), b)


def test_a_camera_that_moved_is_refused():
    still = sightings(B, name="b.mp4")
    later = sightings(B._replace(rotation=B.rotation @ about_y(20)), name="b.mp4")
    moved = replace(still, people=still.people[:60] + later.people[60:])
    with pytest.raises(PosecError, match=r"a camera moved: .* differ by (19|20) degrees"):
        relative_pose(sightings(A), moved)
