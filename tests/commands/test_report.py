"""report: one page of results and precision searches."""

from __future__ import annotations

import json
import re

import pytest
from command_line import json_of, refusal, run
from tiny_bundles import write_tiny_bundle

DRIFT = {
    "within": False,
    "missed": ["drift_mm"],
    "drift_mm": 9.5,
    "drift_p95_mm": 20.0,
    "people_lost": 0.0,
    "people_invented": 0.0,
}
REJECTED = {
    "name": "int8",
    "drift": DRIFT,
    "float_layers": ["Conv_3"],
    "taken": False,
    "latency_ms": 1.0,
    "float32_ms": 2.0,
}
TAKEN = {**REJECTED, "name": "float32", "drift": {**DRIFT, "within": True, "missed": []}, "taken": True}
SEARCH = {
    "format": 1,
    "network": "tiny",
    "target": "generic-cpu",
    "taken": "float32",
    "rungs": [REJECTED, TAKEN],
    "judged_on": {"frames": 4, "source": "photos/"},
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    write_tiny_bundle(folder / "bundle")
    line = ["bench", folder / "bundle", "--seconds", "0", "--no-accuracy", "-o", folder / "results"]
    assert run(*line) == 0
    return folder / "results"


@pytest.fixture
def results(measured, tmp_path):
    """A folder with one result."""
    (path,) = measured.iterdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "results"


def test_the_page_names_no_other_host(results, tmp_path, capsys):
    page = tmp_path / "report.html"
    assert json_of(capsys, "report", results, "-o", page)["written"] == str(page)
    assert "generic-cpu" in page.read_text()
    assert not re.search(r"""(?:src|href)=["']https?:""", page.read_text())


@pytest.mark.parametrize("name", ["out.candidates.json", "out.ladder.json"])
def test_precision_searches_beside_the_results_are_shown(results, name, tmp_path):
    (results / name).write_text(json.dumps(SEARCH))
    assert run("report", results, "-o", tmp_path / "report.html") == 0
    page = (tmp_path / "report.html").read_text()
    assert "taken: float32" in page
    assert page.count('<td data-label="candidate">') == 2


@pytest.mark.parametrize("option", ["--candidates", "--ladder"])
def test_precision_searches_are_given_by_name(results, option, tmp_path):
    (tmp_path / "search.json").write_text(json.dumps({**SEARCH, "taken": None}))
    line = ["report", results, option, tmp_path / "search.json", "-o", tmp_path / "report.html"]
    assert run(*line) == 0
    assert "no candidate is within the limits" in (tmp_path / "report.html").read_text()


def test_other_files_are_refused(results, tmp_path, capsys):
    (tmp_path / "bad.json").write_text('{"format": 1, "rungs": 3}')
    line = ["report", results, "-o", tmp_path / "r.html", "--candidates"]
    assert "is not a precision search" in refusal(capsys, *line, tmp_path / "bad.json")
    assert "no precision search" in refusal(capsys, *line, tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    assert "no results" in refusal(capsys, "report", tmp_path / "empty", "-o", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_markdown_and_csv_of_the_same_figures_lie_beside_the_page(results, tmp_path):
    assert run("report", results, "-o", tmp_path / "report.html") == 0
    markdown, rows = (tmp_path / "report.md").read_text(), (tmp_path / "report.csv").read_text().splitlines()
    (result,) = (json.loads(path.read_text()) for path in results.glob("*.result.json"))
    p50 = f"{result['bench']['latency']['total']['p50_ms']:.1f}"
    assert rows[0].startswith("name,machine,network,target,precision")
    assert p50 in rows[1].split(",")
    assert f" {p50} " in markdown
    assert run("report", results, "-o", tmp_path / "report.html") == 0  # its own files are replaced


@pytest.mark.parametrize("name", ["report.md", "report.csv"])
def test_a_file_of_the_user_beside_the_page_is_not_replaced(results, tmp_path, name, capsys):
    (tmp_path / name).write_text("mine")
    line = ["report", results, "-o", tmp_path / "report.html"]
    assert "is not of a report, and would be replaced" in refusal(capsys, *line)
    assert (tmp_path / name).read_text() == "mine"
    assert not (tmp_path / "report.html").exists()


def test_a_budget_shows_in_the_page_and_in_the_answer(results, tmp_path, capsys):
    line = ["report", results, "--max-ms", "0.001", "--allow-noisy", "-o", tmp_path / "report.html"]
    (machine,) = json_of(capsys, *line)["machines"]
    assert machine["recommended"] is None
    page = (tmp_path / "report.html").read_text()
    assert "Limits: p90 at most 0.001 ms." in page
    assert "nothing is within the limits" in page
