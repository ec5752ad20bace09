"""choose: one recommendation per machine, within budgets."""

from __future__ import annotations

import pytest
from command_line import json_of, refusal, run
from made_results import made_result

from toolkit.device.result import save_result

FLOAT32 = made_result("float32", p90=50.0, drift={"drift_mm": 0.0}, pck=66.0)


@pytest.fixture
def results(tmp_path):
    """A folder with a slow float32 and a fast int8 that drifts."""
    save_result(FLOAT32, tmp_path / "a.result.json")
    save_result(made_result("int8", p90=20.0, pck=65.0), tmp_path / "b.result.json")
    return tmp_path


def test_the_fastest_within_the_budgets_is_printed_with_its_reason(results, capsys):
    assert run("choose", results, "--max-ms", "30") == 0
    text = capsys.readouterr().out
    assert "raspberry-pi-5 int8 takes 20.0 ms per picture (p90), 0.42 of float32's time" in text
    assert "outside: raspberry-pi-5 float32: p90 50.0 ms, allowed 30" in text


def test_scripts_read_the_choice_as_json(results, capsys):
    plain = json_of(capsys, "choose", results, "--min-pck", "65.5")
    (machine,) = plain["machines"]
    assert machine["recommended"]["precision"] == "float32"
    assert machine["outside"][0]["reasons"] == ["PCK_rel@150 65.0 %, asked 65.5"]
    assert "int8 to win: its PCK has to rise by 0.5 points" in machine["int8_needs"]


def test_the_exit_status_is_1_where_nothing_is_within_the_budgets(results, capsys):
    plain = json_of(capsys, "choose", results, "--max-ms", "1", status=1)
    assert plain["machines"][0]["recommended"] is None


def test_a_budget_that_is_no_limit_is_refused(results, capsys):
    assert "--max-ms must be a number from 0 on" in refusal(capsys, "choose", results, "--max-ms", "-1")
