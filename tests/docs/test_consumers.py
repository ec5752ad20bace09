"""The consumers in docs/programs.md read from a real run: Python from a Unix socket, C++ from UDP."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from doc_pages import blocks
from http_camera import HttpCamera
from networks import spot_picture
from processes import environment, start
from tiny_bundles import write_tiny_bundle
from video_files import jpeg

PAGE = "docs/programs.md"
MOST_LINES = 25


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "bundle").folder


def first_line(consumer: list[str], bundle: Path, *options: str, after: Path | None = None) -> str:
    """Return what a consumer prints first, and stop it and the run."""
    with (
        HttpCamera([[jpeg(spot_picture(1, seed=7))] * 3000], 0.02) as camera,
        start("run", bundle, "--source", camera.url, *options) as run,
    ):
        while after is not None and not after.exists():
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.05)
        with subprocess.Popen(consumer, stdout=subprocess.PIPE, text=True, env=environment()) as reader:
            printed = reader.stdout.readline()
            reader.kill()
        run.send_signal(signal.SIGTERM)
        run.communicate()
    return printed


def test_the_consumers_are_short():
    for language in ("python", "cpp"):
        (block,) = blocks(PAGE, language)
        assert len(block.splitlines()) <= MOST_LINES


def test_the_python_consumer_prints_people(bundle, tmp_path):
    (block,) = blocks(PAGE, "python")
    (tmp_path / "reader.py").write_text(block)
    command = [sys.executable, "-u", str(tmp_path / "reader.py"), str(tmp_path / "people")]
    printed = first_line(command, bundle, "--unix", str(tmp_path / "people"), after=tmp_path / "people")
    assert printed.startswith("picture 0")
    assert printed.endswith(" m\n")
    assert "person 1 at " in printed


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_the_c_consumer_compiles_without_warnings_and_prints_people(bundle, tmp_path):
    (block,) = blocks(PAGE, "cpp")
    (tmp_path / "reader.cpp").write_text(block)
    compiled = str(tmp_path / "reader")
    command = ["g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-O1", "-o", compiled]
    subprocess.run([*command, str(tmp_path / "reader.cpp")], check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    printed = first_line([compiled, port], bundle, "--udp", f"127.0.0.1:{port}")
    assert printed.startswith("best person at ")
    assert printed.endswith(" m\n")
