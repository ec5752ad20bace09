"""Delay at a step: none without a filter, by hand for the exponential one, and that of a lookahead."""

from functools import partial

import numpy as np
import pytest
from walking_people import detections

from toolkit.evaluation.clips.steps import step_delays_ms
from toolkit.network.network import KeypointNetwork
from toolkit.runtime.tracking.choice import smoother

pytestmark = pytest.mark.torch
SPEC = KeypointNetwork().spec()


def delays(make):
    return step_delays_ms(detections(SPEC, 2, 60), make)


def test_frames_alone_have_no_delay():
    found = delays(lambda: None)
    assert len(found) > 20
    np.testing.assert_allclose(found, 0, atol=1e-6)


def test_an_exponential_filter_has_half_of_a_step_after_one_and_a_half_pictures():
    # 0.3 of the way in the first picture, 0.51 in the second; bones turn, so joints differ a little.
    assert np.median(delays(partial(smoother, "exponential", SPEC))) == pytest.approx(24.2, abs=2.5)


def test_a_clip_without_people_has_no_step():
    assert step_delays_ms(detections(SPEC, 0, 5), lambda: None) == []
