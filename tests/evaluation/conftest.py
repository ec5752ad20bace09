"""Fixtures of the tests of evaluation: pictures, and the people that the tiny network finds."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from networks import tiny_graph_of

from toolkit.ir.float_engine import float_estimator
from toolkit.runtime.pose import PoseFrame


@pytest.fixture(scope="module")
def found(people_pictures: list[np.ndarray]) -> dict[str, PoseFrame]:
    """The people that the tiny network finds, by file name: labels on which it is perfect."""
    estimator = float_estimator(tiny_graph_of(), threads=1)
    return {
        f"{index}.png": estimator(picture, focal_px=200.0) for index, picture in enumerate(people_pictures)
    }


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, people_pictures: list[np.ndarray]) -> Path:
    folder = tmp_path_factory.mktemp("labelled") / "pictures"
    folder.mkdir()
    for index, picture in enumerate(people_pictures):
        cv2.imwrite(str(folder / f"{index}.png"), picture)
    return folder
