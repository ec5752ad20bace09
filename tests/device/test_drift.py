"""Drift between people whose differences are known."""

import json
from dataclasses import replace

import numpy as np
import pytest
from standing_people import people_at

from toolkit.device.comparison.drift_parts import DriftSummary
from toolkit.device.drift import measure_drift
from toolkit.errors import PosecError
from toolkit.runtime.pose import MUPOTS17, PoseFrame

ALLOWED = {"drift_mm": 8.0, "people_lost": 0.3, "people_invented": 0.0}
TRUTH = [people_at((60, 90), (160, 90)), people_at(), people_at((60, 90), (260, 90))]


def moved(
    people: PoseFrame, joints_mm: float = 0.0, centre_px: float = 0.0, root_mm: float = 0.0
) -> PoseFrame:
    return PoseFrame(
        people.scores,
        people.centres_px + np.float32([centre_px, 0]),
        people.joints_mm + np.float32([0, joints_mm, 0]),
        people.roots_mm + np.float32([0, 0, root_mm]),
        people.joints_px,
    )


def first(people: PoseFrame, count: int) -> PoseFrame:
    return people[:count]


def test_the_same_people_do_not_drift():
    drift = measure_drift(TRUTH, TRUTH, MUPOTS17, allowed=ALLOWED)
    assert drift
    assert (drift.frames, drift.people, drift.lost, drift.invented) == (3, 4, (), ())
    assert (drift.drift_mm, drift.drift_max_mm, drift.centre_shift_px, drift.root_drift_mm) == (0, 0, 0, 0)
    assert str(drift).startswith(
        "0.0 mm drift (allowed 8), 0.0 % of people lost (allowed 30), 0.0 % of people invented (allowed 0)"
    )


def test_millimetres_pixels_and_depth_are_measured_separately():
    found = [moved(TRUTH[0], joints_mm=2), TRUTH[1], moved(TRUTH[2], joints_mm=6, centre_px=3, root_mm=40)]
    drift = measure_drift(found, TRUTH, MUPOTS17, allowed=ALLOWED)
    assert drift
    assert drift.drift_mm == pytest.approx(4)
    assert drift.drift_p50_mm == pytest.approx(4)
    assert drift.drift_p95_mm == pytest.approx(6)
    assert drift.drift_max_mm == pytest.approx(6)
    assert drift.centre_shift_px == pytest.approx(1.5)
    assert drift.root_drift_mm == pytest.approx(20)


def test_a_lost_person_is_named_with_frame_score_and_height():
    found = [TRUTH[0], TRUTH[1], first(TRUTH[2], 1)]
    drift = measure_drift(found, TRUTH, MUPOTS17, allowed=ALLOWED)
    assert drift
    assert drift.people_lost == 0.25
    assert [(stray.frame, stray.score) for stray in drift.lost] == [(2, pytest.approx(0.5))]
    assert drift.lost[0].height_px == pytest.approx(np.ptp(TRUTH[2].joints_px[1, :, 1]))


def test_an_invented_person_breaks_an_allowance_of_none():
    found = [TRUTH[0], people_at((90, 90)), TRUTH[2]]
    drift = measure_drift(found, TRUTH, MUPOTS17, allowed=ALLOWED)
    assert not drift
    assert drift.missed == ("people_invented",)
    assert drift.enough["people_invented"] == 0.25
    assert "enough would be people_invented = 0.25" in str(drift)
    assert "invented people scored 0.90 to 0.90, the tallest " in str(drift)
    assert measure_drift(found, TRUTH, MUPOTS17, allowed={**ALLOWED, **drift.enough})


def test_the_stated_allowance_would_have_been_enough():
    drift = measure_drift(
        [moved(people, joints_mm=9.234) for people in TRUTH], TRUTH, MUPOTS17, allowed=ALLOWED
    )
    assert not drift
    assert drift.enough["drift_mm"] == 9.3
    assert measure_drift(
        [moved(people, joints_mm=9.234) for people in TRUTH], TRUTH, MUPOTS17, allowed=drift.enough
    )


def test_a_network_that_finds_no_people_fails_without_a_drift():
    drift = measure_drift([people_at()] * 3, TRUTH, MUPOTS17, allowed={**ALLOWED, "people_lost": 1.0})
    assert not drift
    assert drift.missed == ("drift_mm",)
    plain = json.loads(json.dumps(drift.to_dict(), allow_nan=False))
    assert plain["drift_mm"] is None
    assert plain["people_lost"] == 1
    assert plain["within"] is False


def test_a_comparison_without_people_is_refused():
    with pytest.raises(
        PosecError, match="found no people on 2 frames: there is nothing to judge by; give frames with people"
    ):
        measure_drift([people_at()] * 2, [people_at()] * 2, MUPOTS17, allowed=ALLOWED)
    with pytest.raises(PosecError, match=r"the compiled network found 1\)"):
        measure_drift([people_at((50, 50))], [people_at()], MUPOTS17, allowed=ALLOWED)


def test_different_numbers_of_frames_are_refused():
    with pytest.raises(PosecError, match="1 frames against float people of 3"):
        measure_drift(TRUTH[:1], TRUTH, MUPOTS17, allowed=ALLOWED)


def test_the_worst_head_is_the_one_whose_repair_leaves_least():
    blame = {
        "centre": DriftSummary(9.0, 0.25, 0.0),
        "embedding": DriftSummary(1.0, 0.25, 0.0),
        "depth": DriftSummary(float("nan"), 0.0, 0.0),
    }
    drift = replace(
        measure_drift([moved(people, joints_mm=9) for people in TRUTH], TRUTH, MUPOTS17, allowed=ALLOWED),
        blame=blame,
    )
    assert drift.worst_head == "embedding"
    assert "worst head 'embedding'" in str(drift)
    assert drift.to_dict()["blame"]["depth"]["drift_mm"] is None
