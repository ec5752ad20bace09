"""Charts: round ticks, labels that do not overlap, and edge cases."""

import re

import pytest

from toolkit.report.formatting import megabytes, milliseconds, number, percent, safe
from toolkit.report.plots.bar_charts import Bar, Strip, bars, stage_bar, strips
from toolkit.report.plots.charts import AxisLabels, Line, Point, lines, scatter, ticks
from toolkit.report.plots.decode_lines import decode_lines

XY = AxisLabels("x", "y")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 19.9, [0, 5, 10, 15, 20]),
        (57.2, 63.9, [56, 58, 60, 62, 64]),
        (0, 0.03, [0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03]),
    ],
)
def test_ticks_are_round_and_span_the_data(low, high, expected):
    assert ticks(low, high) == expected


def test_marks_lie_where_their_numbers_are():
    drawing = scatter("t", [Point(0, 1, "a", "float32"), Point(10, 2, "b", "int8", reach=12)], XY)
    circle = float(re.search(r'<circle [^>]*cx="([\d.]+)"', drawing)[1])
    diamond = float(re.search(r'<path class="mark int8" d="M([\d.]+)', drawing)[1])
    whisker = float(re.search(r'class="whisker int8" x1="[\d.]+" x2="([\d.]+)"', drawing)[1])
    assert circle == 58
    assert (whisker - circle) / (diamond - circle) == pytest.approx(1.2, abs=0.01)


def test_labels_of_marks_on_one_spot_do_not_cover_each_other():
    drawing = scatter("t", [Point(5, 1, f"bundle {i}", "float32") for i in range(5)], XY)
    heights = sorted(float(y) for y in re.findall(r'class="label" x="[\d.]+" y="([\d.]+)"', drawing))
    assert len(heights) == 5
    assert min(heights[i + 1] - heights[i] for i in range(4)) >= 15


def test_a_point_at_zero_and_equal_values_are_drawn():
    for drawing in (
        scatter("t", [Point(0, 0, "a", "float32", hollow=True)], XY),
        lines("t", [Line([(0, 0)], "a", "int8")], XY),
    ):
        assert "nan" not in drawing
        assert "inf" not in drawing
    assert "nan" not in bars("t", [Bar("a", 0.0, "0"), Bar("b", -1.0, "-1")], "int8")
    assert "nan" not in stage_bar([("preprocess", 0.0)], 0.0)


def test_stages_are_as_long_as_their_share_of_the_longest():
    drawing = stage_bar([("preprocess", 1.0), ("inference", 4.0)], 10.0)
    assert re.findall(r'x="([\d.]+)" y="0" width="([\d.]+)"', drawing) == [("0.0", "15.0"), ("15.0", "60.0")]
    assert 'aria-label="preprocess 1.00 ms, inference 4.00 ms"' in drawing


def test_samples_beyond_the_axis_are_counted():
    drawing = strips("t", [Strip("a", "int8", [1.0, 1.0, 2.0, 900.0, 950.0], (1.0, 2.0, 3.0))])
    assert "+2</text>" in drawing
    assert re.search(r'class="samples int8" d="([^"]*)"', drawing)[1].count("M") == 2


def test_text_is_escaped_and_numbers_are_formatted():
    assert "<b>" not in scatter("<b>", [Point(1, 1, "<b>", "float32")], AxisLabels("<b>", "<b>"))
    assert safe("<a href='x'>&\"") == "&lt;a href=&#x27;x&#x27;&gt;&amp;&quot;"
    assert (milliseconds(0.123), milliseconds(12.34), milliseconds(123.4), milliseconds(None)) == (
        "0.12",
        "12.3",
        "123",
        "–",
    )
    assert safe(percent(0.5, 0)) == "50\u202f%"
    assert (number(None), number(1.25, 1), percent(0.5, 0), percent(None)) == ("–", "1.2", "50\u202f%", "–")
    assert (megabytes(2_100_000), megabytes(63_000_000), megabytes("x")) == ("2.10", "63.0", "–")


def test_decoding_is_drawn_with_and_without_the_fit_where_both_were_timed():
    old = [{"people": 1, "p50_us": 400.0}, {"people": 5, "p50_us": 500.0}]
    assert [line.points for line in decode_lines(old)] == [[(1, 400.0), (5, 500.0)]]
    fitted, unfitted = decode_lines([{**row, "unfitted_p50_us": row["p50_us"] / 2} for row in old])
    assert fitted.points == [(1, 400.0), (5, 500.0)]
    assert unfitted.points == [(1, 200.0), (5, 250.0)]
    assert (fitted.label, unfitted.label) == ("with the fit to key points", "without")
