"""The chart of a frame by stage: bars as long as their times, in sequence and overlapping."""

import re

import pytest

from toolkit.report.plots.frame_split import draw_frame_splits, frame_splits

LATENCY = {
    stage: {"p50_ms": ms}
    for stage, ms in (("preprocess", 1.0), ("inference", 6.0), ("decode", 1.0), ("total", 8.2))
}
OVERLAP = {"fps": 125.0, "stages_ms": {"preprocess": 1.0, "inference": 7.0, "decode": 2.0}}


def rectangles(drawing, stage):
    """Return (x, y, width) of the bars of a stage."""
    found = re.findall(rf'class="{stage}" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', drawing)
    return [tuple(map(float, place)) for place in found]


def test_bars_are_as_long_as_their_times_and_decoding_follows_inference():
    splits = frame_splits([("intel int8", {"latency": LATENCY, "overlap": OVERLAP})])
    drawing = draw_frame_splits("t", splits)
    (alone, overlapped) = rectangles(drawing, "inference")
    assert overlapped[2] / alone[2] == pytest.approx(7 / 6, rel=0.01)
    (_, late) = rectangles(drawing, "decode")
    assert late[0] == pytest.approx(overlapped[0] + overlapped[2], abs=0.2)  # another thread, later
    assert late[1] > overlapped[1]
    assert "every 8.00 ms" in drawing


@pytest.mark.parametrize("overlap", [None, {"fps": 125.0}])
def test_results_of_earlier_versions_have_the_bar_without_overlap_alone(overlap):
    splits = frame_splits([("old", {"latency": LATENCY, "overlap": overlap}), ("failed", {"latency": None})])
    drawing = draw_frame_splits("t", splits)
    assert len(splits) == 1
    assert len(rectangles(drawing, "inference")) == 1
    assert "overlapping" not in drawing
