"""search: the network that it writes costs as much as the log states, and an old log is continued."""

from __future__ import annotations

import json
import shutil

import pytest
from command_line import json_of, refusal

from toolkit.commands.interface.inputs import SAMPLES

pytestmark = pytest.mark.torch


@pytest.fixture
def line(tmp_path):
    """A search on the first two of the shipped scenes."""
    records = json.loads((SAMPLES / "scenes.json").read_text())[:2]
    for record in records:
        shutil.copy(SAMPLES / "scenes" / record["file"], tmp_path)
    (tmp_path / "scenes.json").write_text(json.dumps(records))
    given = ["--budget", "0.3", "--scenes", tmp_path / "scenes.json", "--count", "2", "-o", tmp_path / "out"]
    return ["search", "reference", *given]


def test_boards_without_counts_are_refused(line, capsys):
    assert "no operators of 'intel-cpu' were counted" in refusal(capsys, *line, "--target", "intel-cpu")


@pytest.mark.slow
def test_the_network_costs_what_the_search_states(line, tmp_path, capsys):
    line += ["--target", "raspberry-pi-4", "--random", "2", "--candidates"]
    first = json_of(capsys, *line, "2")
    assert first["cost"] <= 0.3
    found = json_of(capsys, *line, "3")
    assert found["candidates"] == 3
    log = [json.loads(each) for each in (tmp_path / "out" / "search.jsonl").read_text().splitlines()]
    assert max(each["score"] for each in log) == found["pck_rel150"]
    assert (tmp_path / "out" / "search.svg").read_text().startswith("<svg ")
    plan = ["--target", "raspberry-pi-4", "--precision", "int8"]
    small = json_of(capsys, "plan", tmp_path / "out" / "checkpoint", *plan)["predicted"]
    whole = json_of(capsys, "plan", "reference", *plan)["predicted"]
    assert small["not_counted"] == []
    assert small["instructions_m"] / whole["instructions_m"] == pytest.approx(found["cost"], rel=0.005)
