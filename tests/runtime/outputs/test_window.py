"""`posec run --show`: refused with the way out where there is no desktop; a window on a virtual one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

import cv2
import pytest
from networks import spot_picture
from processes import ROOT, line, posec
from tiny_bundles import write_tiny_bundle

DISPLAY = ":93"


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "two.png"
    cv2.imwrite(str(path), spot_picture(2, seed=2))
    return path


@pytest.fixture
def bundle(tmp_path):
    return write_tiny_bundle(tmp_path / "bundle").folder


def test_without_a_desktop_the_page_is_recommended(bundle, picture, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    done = posec("run", bundle, "--source", picture, "--show")
    assert done.returncode == 2
    assert "no display" in done.stderr
    assert "--web 8000" in done.stderr


def test_a_cv2_without_windows_is_named_with_the_one_that_has_them(bundle, picture, monkeypatch, tmp_path):
    if "GUI:                           NONE" not in cv2.getBuildInformation():
        pytest.skip("this cv2 has windows")
    monkeypatch.setenv("DISPLAY", DISPLAY)
    done = posec("run", bundle, "--source", picture, "--show", "-o", tmp_path / "out")
    assert done.returncode == 2
    assert "pip install opencv-python" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_window_shows_a_picture_until_a_key_is_pressed(bundle, picture, tmp_path):
    if not all(map(shutil.which, ("Xvfb", "xdotool"))):
        pytest.skip("needs Xvfb and xdotool")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", tmp_path / "gui"]
    if subprocess.run([*install, "opencv-python"], check=False, capture_output=True).returncode:
        pytest.skip("pip has no opencv-python here")
    there = {**os.environ, "DISPLAY": DISPLAY, "PYTHONPATH": f"{tmp_path / 'gui'}{os.pathsep}{ROOT}"}
    screen = subprocess.Popen(["Xvfb", DISPLAY], stderr=subprocess.DEVNULL)
    try:
        with subprocess.Popen(line("run", bundle, "--source", picture, "--show"), env=there) as run:
            found, end = "", time.monotonic() + 60
            while not found and time.monotonic() < end:
                time.sleep(0.3)
                search = ["xdotool", "search", "--name", "posec"]
                found = subprocess.run(search, env=there, capture_output=True, text=True, check=False).stdout
            assert found, "no window"
            time.sleep(1)
            assert run.poll() is None, "a still picture stays"
            subprocess.run(["xdotool", "key", "--window", found.split()[0], "q"], env=there, check=True)
            assert run.wait(30) == 0
    finally:
        screen.terminate()
        screen.wait()
