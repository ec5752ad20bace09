"""demo: its commands, and its folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from command_line import refusal
from processes import posec

from toolkit.commands.demo import demo_lines, next_steps
from toolkit.commands.demonstration.files import GATHERED
from toolkit.commands.demonstration.folder import claimed, gather, note_files
from toolkit.errors import PosecError


def clear(out: str) -> None:
    with claimed(out):
        pass


def test_the_folder_of_a_demo_needs_a_name(capsys):
    assert "the name of the output is empty" in refusal(capsys, "demo", "--out", "")


def test_one_demo_runs_in_a_folder_at_a_time(tmp_path):
    with claimed(str(tmp_path)):
        (tmp_path / "report.html").write_text("of the first")
        note_files(str(tmp_path))
        done = posec("demo", "--out", tmp_path)
        assert done.returncode == 2
        assert "another demo is running" in done.stderr
    assert (tmp_path / "report.html").exists()


def test_the_demo_writes_the_files_it_names_and_replaces_only_its_own(tmp_path):
    out = str(tmp_path / "out")
    clear(out)
    folders = {words[words.index("-o") + 1] for words in demo_lines(out) if "-o" in words}
    for name in GATHERED:
        source = Path(out) / name
        assert str(source.parent) in folders
        source.parent.mkdir(exist_ok=True)
        source.write_text(name)
    gather(out)
    note_files(out)
    assert sorted(path.name for path in Path(out).iterdir()) == [
        "clip.mkv",
        "demo.json",
        "people.jsonl",
        "picture.jpg",
    ]
    assert all(f"{out}/{name}" in next_steps(out) for name in GATHERED.values())
    (Path(out) / "results").mkdir()
    for name in ("mine", "results/mine.json"):
        (Path(out) / name).write_text("not the demo's")
    for _ in range(3):
        clear(out)
        note_files(out)
        assert sorted(path.name for path in Path(out).rglob("*")) == [
            "demo.json",
            "mine",
            "mine.json",
            "results",
        ]
    (Path(out) / "report.html").write_text("of the demo")
    note_files(out)
    (Path(out) / "report.html").write_text("edited by the user")
    with pytest.raises(PosecError, match="was changed after the demo"):
        clear(out)


@pytest.mark.parametrize(
    "name",
    [
        "results/thesis.txt",
        "calibration.json",
        "report.html",
        "clip.mkv",
        "intel-cpu-int8/bundle.json",
        "other",
    ],
)
def test_the_demo_removes_nothing_from_a_folder_that_is_not_its_own(tmp_path, name):
    path = tmp_path / "work" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    for out in (tmp_path / "work", "."):
        done = posec("demo", "--out", out, cwd=tmp_path / "work")
        assert done.returncode == 2
        assert "which no demo wrote; name another folder" in done.stderr
    assert [found for found in (tmp_path / "work").rglob("*") if found.is_file()] == [path]
    assert path.read_text() == "mine"


def test_bundles_are_written_into_the_folder_of_a_running_demo(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from toolkit.commands.demonstration.folder import claimed\n"
        "from toolkit.runtime.files.plain_folders import write_folder\n"
        "with claimed(sys.argv[1]): write_folder(Path(sys.argv[1]) / 'results', {'a.txt': b'a'})\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "out")], check=True, timeout=60)
    assert (tmp_path / "out" / "results" / "a.txt").read_bytes() == b"a"
