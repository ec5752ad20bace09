"""People over time in the report: the table, the plot, and files of another form."""

from __future__ import annotations

import json

import pytest

from toolkit.errors import PosecError
from toolkit.report.clips.clips_table import over_time_section, read_over_time
from toolkit.report.file_kinds import MEASURED, OVER_TIME

ROW = dict.fromkeys(MEASURED, 1.0)
COURSE = {
    "clip": "020", "fps": 60.0, "joint": "right_wrist", "axis": "y", "seconds": [0.0, 0.1, 0.2, 0.3],
    "truth_mm": [0.0, -100.0, -200.0, -300.0],
    "found_mm": {"per frame": [10.0, None, -210.0, -290.0], "one-euro": [0.0, -80.0, -190.0, -290.0]},
}  # fmt: skip
PLAIN = {
    "format": OVER_TIME.version,
    "network": "net",
    "rows": [
        {**ROW, "method": "per frame", "subset": "all", "acceleration_mm": 39.2},
        {**ROW, "method": "per frame", "subset": "60 Hz"},
        {**ROW, "method": "<b>", "subset": "all", "delay_ms": None},
    ],
    "course": COURSE,
}


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_filters_are_grouped_by_frame_rate_and_text_is_escaped(tmp_path):
    page = over_time_section(read_over_time([write(tmp_path / "a.over-time.json", PLAIN)]))
    assert page.count("<tr") == 4
    assert page.index("39.2 (1.0)") < page.index("&lt;b&gt;") < page.index("60 Hz")
    assert "<b>" not in page


def test_each_filter_has_a_plot_with_the_truth_and_a_hole_where_no_one_is_found(tmp_path):
    page = over_time_section(read_over_time([write(tmp_path / "a.over-time.json", PLAIN)]))
    assert page.count("<svg") == 2
    assert page.count('class="limit"') == 2
    # The run of one point before the hole is no line.
    assert page.count('class="line') == 2
    assert 'aria-label="one-euro: right wrist, y in mm"' in page


def test_the_section_is_empty_without_files_and_has_no_plot_without_a_course(tmp_path):
    assert over_time_section([]) == ""
    page = over_time_section(
        read_over_time([write(tmp_path / "a.over-time.json", {**PLAIN, "course": None})])
    )
    assert "<svg" not in page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 9}, "this posec reads 1"),
        ({"rows": [{"method": "a", "subset": "all"}]}, "not a measurement over time"),
        ({"course": {**COURSE, "seconds": ["a", "b"]}}, "not a measurement over time"),
    ],
)
def test_files_of_another_form_are_refused(tmp_path, change, words):
    path = write(tmp_path / "a.over-time.json", {**PLAIN, **change})
    with pytest.raises(PosecError, match=words):
        read_over_time([path])
