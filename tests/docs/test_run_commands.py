"""Every command line and Python block of the docs, run by real processes in the order of the pages."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import PAGES, ROOT, blocks, command_lines, skip_of
from networks import write_checkpoint

SAMPLES = ROOT / "toolkit" / "samples"
LINES = list(dict.fromkeys(line for page in PAGES for line in command_lines(page) if skip_of(line) is None))
# test_consumers.py runs those of programs.md, which read from a run.
PYTHON = [(page, block) for page in PAGES if page != "docs/programs.md" for block in blocks(page, "python")]
# Commands that may report a missed limit; their output states it.
# What the Python block of a page prints.
PRINTED = {"README.md": r"^0\.\d+ \[\[", "docs/own-network.md": r"drift|people", "docs/video.md": r"\[1"}
VERDICTS = re.compile(r"posec (verify|bench|sweep) ")
pytestmark = [pytest.mark.slow, pytest.mark.torch, pytest.mark.openvino]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pictures, the film, the network and the board that the docs take for granted."""
    folder = tmp_path_factory.mktemp("docs")
    for name, pictures in (
        ("photos", sorted((SAMPLES / "calibration").glob("*.jpg"))[4:20]),
        ("test", sorted((SAMPLES / "scenes").glob("*.jpg"))[20:26]),
    ):
        (folder / name).mkdir()
        for picture in pictures:
            shutil.copy(picture, folder / name)
    shutil.copy(SAMPLES / "scenes" / "035.jpg", folder / "street.jpg")
    shutil.copy(SAMPLES / "clip.mp4", folder / "street.mp4")
    shutil.copy(ROOT / "targets" / "generic-cpu.toml", folder / "my-board.toml")
    write_checkpoint(folder / "mine")
    (folder / "sweep.toml").write_text('network = "mine"\ntargets = ["generic-cpu"]\nseconds = 0.5\n')
    return folder


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_runs(folder, line):
    if "raspberry-pi" in line:
        pytest.importorskip("litert_torch")
    done = run(["-m", "toolkit", *shlex.split(line)[1:]], folder)
    allowed = {0, 1} if VERDICTS.match(line) else {0}
    assert done.returncode in allowed, f"{line}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("page", "block"), PYTHON, ids=[page for page, _ in PYTHON])
def test_a_python_block_runs(folder, page, block):
    done = run(["-c", block], folder)
    assert done.returncode == 0, f"{page}\n{done.stderr}"
    assert re.search(PRINTED[page], done.stdout, re.MULTILINE), done.stdout
