import numpy as np
import pytest

from toolkit.errors import PosecError
from toolkit.training.motion.clips import read_clips
from toolkit.training.motion.retarget import turns_of


def test_missing_or_inconsistent_motion_capture_is_refused(tmp_path, standing_clips):
    with pytest.raises(PosecError, match=r"no motion capture .*give the folder"):
        read_clips(tmp_path, "cmu")
    with pytest.raises(PosecError, match="known: cmu, deepmimic"):
        read_clips(tmp_path, "bvh")
    names = ("rotations", "offsets", "parents", "joint_names", "neutral_rotations")
    arrays = {name: np.array(getattr(standing_clips, name)) for name in names}
    arrays |= {"clips": np.array(["a"]), "split": np.array(["test"]), "starts": np.array([0, 2])}
    arrays |= {"fps": np.float32(30), "root": np.zeros((2, 3))}
    np.savez(tmp_path / "deepmimic.npz", **arrays)
    found = read_clips(tmp_path, "deepmimic")
    np.testing.assert_array_equal(
        turns_of(found, found.rows("test")), turns_of(standing_clips, np.array([0, 1]))
    )
    assert found.clip_of(1) == "a"
    assert len(found.rows("train")) == 0
    np.savez(tmp_path / "deepmimic.npz", **{**arrays, "root": np.zeros((5, 3))})
    with pytest.raises(PosecError, match="root must have shape"):
        read_clips(tmp_path, "deepmimic")
