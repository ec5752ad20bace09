"""`posec doctor` and `python -m toolkit.device doctor`: real processes, libraries that break, bundles."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import changed
from deployments import make_board, send
from networks import tiny_graph_of
from processes import ROOT, posec
from pythons import interpreter
from tiny_bundles import spoiled, write_tiny_bundle

from toolkit.errors import PosecError

AREAS = ["processor", "GPU", "memory", "disk", "time", "cameras", "Python", "libraries", "engines"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny").folder


def damaged(bundle: Path, folder: Path) -> Path:
    """Return a copy whose model has one more byte."""
    shutil.copytree(bundle, folder)
    with open(folder / "model.onnx", "ab") as model:
        model.write(b"\0")
    return folder


def examined(
    *words: object, python: str = sys.executable, path: str = ""
) -> tuple[int, dict[str, list[dict]]]:
    """Return the exit status, and the findings by area."""
    search = os.pathsep.join(filter(None, [path, str(ROOT)]))
    done = subprocess.run(
        [python, "-m", "toolkit.device", "doctor", "--json", *map(str, words)],
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    plain = json.loads(done.stdout)
    assert plain["runs"] == (done.returncode == 0)
    found: dict[str, list[dict]] = {}
    for finding in plain["findings"]:
        assert (finding["status"] == "ok") == (not finding["next"])
        found.setdefault(finding["area"], []).append(finding)
    return done.returncode, found


def test_this_machine_is_described_and_a_sound_bundle_runs_on_it(bundle):
    done = posec("doctor", bundle)
    assert done.returncode == 0, done.stdout + done.stderr
    for area in [*AREAS, "bundle"]:
        assert f"\n{area}" in "\n" + done.stdout
    text = " ".join(done.stdout.split())
    assert f"'{bundle}' runs: tiny, float32, onnxruntime; drift 0.0 mm, within its limits" in text
    assert "numpy " in done.stdout
    assert "onnxruntime " in done.stdout


def test_json_has_the_same_findings(bundle):
    status, found = examined(bundle)
    assert status == 0
    assert list(found) == [*AREAS, "bundle"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda bundle, to: to / "none", "none"),
        (lambda bundle, to: changed(bundle, to / "b", engine="quantum"), "no engine 'quantum'"),
        (lambda bundle, to: damaged(bundle, to / "b"), "model.onnx"),
        (
            lambda bundle, to: write_tiny_bundle(to / "b", spoiled(tiny_graph_of(), "embedding", 3.0)).folder,
            "over its limits: drift_mm",
        ),
    ],
    ids=["missing", "unknown engine", "damaged", "drift"],
)
def test_a_bundle_that_would_not_run_ends_with_status_1_and_a_next_step(bundle, tmp_path, spoil, words):
    folder = spoil(bundle, tmp_path)
    status, found = examined(folder)
    assert status == 1
    (finding,) = found["bundle"]
    assert finding["status"] == "problem"
    assert words in finding["text"]
    assert posec("doctor", folder).returncode == 1


def test_a_python_without_numpy_is_examined_too_and_says_what_to_install(bundle):
    status, found = examined(bundle, python=interpreter("3.8"))
    assert status == 1
    texts = [finding["text"] for finding in found["libraries"]]
    if "No module named 'numpy'" not in texts[0]:
        pytest.skip("this Python 3.8 has numpy")
    assert found["libraries"][0]["next"] == "pip install numpy"
    assert "opencv-python-headless" in found["libraries"][1]["next"]
    assert found["bundle"][0]["status"] == "problem"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "SIGILL: this build needs instructions"),
        ("raise ImportError('libfoo.so.3: cannot open shared object file')", "libfoo.so.3"),
        ("import sys; print('hello'); sys.exit(0)", "prints something else"),
    ],
    ids=["wrong build", "missing library", "chatty"],
)
def test_an_engine_that_breaks_on_import_is_noted_and_the_others_are_still_found(tmp_path, body, words):
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino/__init__.py").write_text(body)
    status, found = examined(path=str(tmp_path))
    assert status == 0
    (broken,) = [finding for finding in found["engines"] if finding["status"] == "note"]
    assert words in broken["text"]
    assert broken["next"] == "pip install openvino"
    assert any(finding["text"].startswith("onnxruntime ") for finding in found["engines"])


def test_a_folder_called_tensorrt_is_not_taken_for_it(tmp_path):
    (tmp_path / "tensorrt").mkdir()
    (tmp_path / "tensorrt/__init__.py").touch()
    _, found = examined(path=str(tmp_path))
    assert not any(
        finding["text"].startswith("tensorrt") and finding["status"] == "ok" for finding in found["engines"]
    )


def test_deploy_reports_what_is_missing_on_the_board(bundle, tmp_path):
    home, steps = make_board(tmp_path), []
    folder = shutil.copytree(bundle, tmp_path / "pi5")
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    with pytest.raises(PosecError, match="No module named 'numpy'"):
        send(folder, home, python=str(bare / "bin/python"), progress=steps.append)
    told = [step for step in steps if step.startswith("on the board: ")]
    assert "on the board: libraries: numpy: No module named 'numpy'; pip install numpy" in told
    assert any(step.startswith("on the board: engines: none is installed") for step in told)
    assert not any((home / "posec").glob(".deployed/*/*"))


def test_deploy_reports_nothing_of_a_board_in_good_order_whose_bundle_drifts(tmp_path):
    home, steps = make_board(tmp_path), []
    worse = write_tiny_bundle(tmp_path / "worse" / "pi5", spoiled(tiny_graph_of(), "embedding", 3.0))
    assert not send(worse, home, progress=steps.append)
    assert not any("problem" in step or "libraries" in step for step in steps)
