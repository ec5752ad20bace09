"""Motion capture as joint positions: read the clips of a folder and convert them to bone directions.

A file `<name>.npz` holds K concatenated clips: `joints17` (F, 17, 3) in metres, `starts` (K + 1,) and `split`
(K,), which is `train`, `val` or `test`. The split is by clip, so no test pose has a neighbour in the training
split.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from ...errors import PosecError
from ...network.torch_kinematics import bone_directions, torso_frame
from ...runtime.pose import MUPOTS17

SPLITS = ("train", "val", "test")
MAX_FRAMES = 5_000_000


def load_mocap(folder: str | Path) -> dict[str, np.ndarray]:
    """Return the bone directions (N, 16, 3) float32 of every split, from all .npz files of a folder by name.

    Raises PosecError where the folder has no such file, a file lacks an array, or a split is empty.
    """
    paths = sorted(Path(folder).glob("*.npz"))
    if not paths:
        raise PosecError(
            f"no motion capture in '{folder}'; it must hold .npz files with joints17, starts and split"
        )
    parts: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    for path in paths:
        for split, joints in _clips(path):
            parts[split].append(joints)
    empty = [split for split in SPLITS if not parts[split]]
    if empty:
        raise PosecError(f"no clip for {', '.join(empty)} in '{folder}'; every split needs one")
    return {split: poses_from_joints(np.concatenate(parts[split])) for split in SPLITS}


def read_joints(path: Path) -> np.ndarray:
    """Return the joints (F, 17, 3) of all clips of one file, one after the other. Raises PosecError."""
    return np.concatenate([joints for _, joints in _clips(path)])


def poses_from_joints(joints: np.ndarray) -> np.ndarray:
    """Return bone directions (N, 16, 3) float32, each pose in its own torso frame.

    Args:
        joints: (N, 17, 3) in any unit.
    """
    joints = joints.astype(np.float32)
    return bone_directions(joints, torso_frame(joints)).astype(np.float32)


def _clips(path: Path) -> list[tuple[str, np.ndarray]]:
    """Return the split and the joints (F, 17, 3) of every clip of one file."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            joints, starts, splits = arrays["joints17"], arrays["starts"], arrays["split"]
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise PosecError(f"cannot read motion capture '{path}': {error}") from error
    frames = len(joints)
    if (
        joints.ndim != 3
        or joints.shape[1:] != (len(MUPOTS17.names), 3)
        or frames > MAX_FRAMES
        or not np.isfinite(joints).all()
    ):
        raise PosecError(
            f"'{path}': joints17 must be finite (F, 17, 3) with F at most {MAX_FRAMES}, got {joints.shape}"
        )
    if (
        starts.shape != (len(splits) + 1,)
        or starts[0] != 0
        or starts[-1] != frames
        or (np.diff(starts) < 1).any()
    ):
        raise PosecError(
            f"'{path}': starts must increase from 0 to {frames} and have one entry more than split"
        )
    unknown = set(splits.tolist()) - set(SPLITS)
    if unknown:
        raise PosecError(
            f"'{path}': unknown split {', '.join(sorted(map(str, unknown)))}; known: {', '.join(SPLITS)}"
        )
    return [
        (str(split), joints[start:end])
        for split, start, end in zip(splits, starts[:-1], starts[1:], strict=True)
    ]
