"""`requires-python` and the extras, installed and run: `pip install posec` on every Python at hand."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import cv2
import pytest
from networks import spot_picture, tiny_graph_of
from pythons import VERSIONS, environment

import targets
from toolkit.compiler.build import build

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy of what is built, so that nothing is written beside the sources."""
    folder = tmp_path_factory.mktemp("source") / "posec"
    folder.mkdir()
    for name in ("toolkit", "targets", "calibration"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory, people_pictures) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    build(tiny_graph_of(), targets.load("generic-cpu"), "float32", out=folder, golden=people_pictures)
    return folder


def test_every_stated_python_is_among_those_that_are_tried():
    assert PROJECT["requires-python"] == f">={VERSIONS[0]}"


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS)
def test_a_board_of_this_python_installs_posec_and_runs_a_bundle(version, source, bundle, tmp_path):
    python = environment(tmp_path / "env", version, f"{source}[onnxruntime]")
    cv2.imwrite(str(tmp_path / "two.png"), spot_picture(2, seed=2))
    posec = str(Path(python).with_name("posec"))
    done = subprocess.run(
        [posec, "run", str(bundle), "--source", str(tmp_path / "two.png"), "--json", "--web", "0"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "people on 1" in done.stderr
    assert "look at it: http://127.0.0.1:" in done.stderr
    examined = subprocess.run(
        [posec, "doctor", str(bundle), "--json"], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert examined.returncode == 0, examined.stdout + examined.stderr
    listed = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True, check=True).stdout
    assert "\nonnx " not in listed
    assert "\ntorch " not in listed
    # A command of the host asks for what it needs, in a sentence.
    done = subprocess.run(
        [posec, "plan", "reference", "--target", "generic-cpu"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "this command needs" in done.stderr


@pytest.mark.slow
def test_a_host_without_torch_compiles_an_onnx_checkpoint(source, tiny_checkpoint, tmp_path):
    python = environment(tmp_path / "env", "3.11", f"{source}[compile]")
    command = [
        str(Path(python).with_name("posec")),
        "export",
        str(tiny_checkpoint),
        "--target",
        "generic-cpu",
        "-o",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([python, "-c", "import torch"], capture_output=True, check=False).returncode != 0
