"""Inputs of commands for the tiny network: pictures, ranges and an int8 bundle, made once."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from command_line import run
from networks import spot_picture


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of four pictures with people for the tiny network."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), spot_picture(1 + number % 3, seed=number))
    return folder


@pytest.fixture(scope="session")
def ranges(tiny_checkpoint: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of `posec calibrate`."""
    path = tmp_path_factory.mktemp("ranges") / "calibration.json"
    assert run("calibrate", tiny_checkpoint, "--frames", pictures, "-o", path) == 0
    return path


@pytest.fixture(scope="session")
def bundle(tiny_checkpoint: Path, ranges: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an int8 bundle for generic-cpu."""
    folder = tmp_path_factory.mktemp("bundles") / "int8"
    export = ["export", tiny_checkpoint, "--target", "generic-cpu", "--precision", "int8"]
    assert run(*export, "--calibration", ranges, "-o", folder) == 0
    return folder
