from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from captured import captured_poses, write_mocap

from toolkit.errors import PosecError
from toolkit.training.motion.mocap import load_mocap

pytestmark = pytest.mark.torch


def test_clips_are_read_as_directions_by_split(tmp_path: Path) -> None:
    poses = load_mocap(write_mocap(tmp_path, frames=10))
    expected = captured_poses(60)
    for split, rows in (("train", slice(0, 20)), ("val", slice(20, 40)), ("test", slice(40, 60))):
        np.testing.assert_allclose(
            poses[split], expected[rows], atol=0.02
        )  # stored in half precision, 92 mm bones


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PosecError, match="no motion capture"):
        load_mocap(tmp_path)


def changed(folder: Path, **arrays: np.ndarray) -> Path:
    path = write_mocap(folder, frames=10) / "walks.npz"
    with np.load(path) as stored:
        kept = {name: stored[name] for name in stored.files}
    np.savez(path, **{**kept, **arrays})
    return folder


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("starts", np.array([0, 10, 20, 30, 40, 50, 61]), "starts"),
        ("starts", np.array([0, 10, 10, 30, 40, 50, 60]), "starts"),
        ("split", np.array(["train"] * 5 + ["exam"]), "exam"),
        ("split", np.array(["train"] * 6), "val, test"),
        ("joints17", np.full((60, 17, 3), np.nan), "finite"),
        ("joints17", np.zeros((60, 16, 3)), "joints17"),
        ("joints17", np.array([{"code": 1}], object), "cannot read"),
    ],
)
def test_inconsistent_files_are_refused(tmp_path: Path, name: str, array: np.ndarray, message: str) -> None:
    with pytest.raises(PosecError, match=message):
        load_mocap(changed(tmp_path, **{name: array}))


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "torn.npz").write_bytes(b"PK torn")
    with pytest.raises(PosecError, match="torn"):
        load_mocap(tmp_path)
