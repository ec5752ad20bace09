"""Motion capture as joint rotations, for posing a body; `mocap.py` reads joint positions."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import PosecError

MAX_FRAMES = 5_000_000
KINDS = ("cmu", "deepmimic")
ARRAYS = (
    "clips",
    "split",
    "starts",
    "fps",
    "rotations",
    "root",
    "offsets",
    "parents",
    "joint_names",
    "neutral_rotations",
)


@dataclass(frozen=True)
class Clips:
    """The clips of one file, concatenated, on one skeleton of J joints.

    Attributes:
        kind: skeleton, "cmu" or "deepmimic".
        names, splits: of the K clips; a split is train, val or test.
        starts: (K + 1,) first frame of every clip, then the number of frames F.
        fps: frames per second.
        rotations: (F, J, 4) local rotations, quaternions with w first.
        root_m: (F, 3) position of the root joint in the world, metres, y up.
        offsets: (J, 3) joints in the frame of their parent, metres.
        parents: (J,) indices, -1 for the root, parents first.
        joint_names: J names.
        neutral_rotations: (J, 4) local rotations of the upright stance with straight legs.
    """

    kind: str
    names: tuple[str, ...]
    splits: tuple[str, ...]
    starts: np.ndarray
    fps: float
    rotations: np.ndarray
    root_m: np.ndarray
    offsets: np.ndarray
    parents: tuple[int, ...]
    joint_names: tuple[str, ...]
    neutral_rotations: np.ndarray

    def rows(self, split: str) -> np.ndarray:
        """Return the frame indices (N,) of all clips of a split."""
        spans = [
            np.arange(self.starts[k], self.starts[k + 1])
            for k, other in enumerate(self.splits)
            if other == split
        ]
        return np.concatenate(spans) if spans else np.zeros(0, np.int64)

    def clip_of(self, row: int) -> str:
        """Return the name of the clip that a frame belongs to."""
        return self.names[int(np.searchsorted(self.starts, row, side="right")) - 1]


def read_clips(folder: str | Path, kind: str) -> Clips:
    """Read `<kind>.npz` of a folder. Raises PosecError where it is missing or its arrays disagree."""
    path = Path(folder) / f"{kind}.npz"
    if kind not in KINDS:
        raise PosecError(f"no skeleton '{kind}'; known: {', '.join(KINDS)}")
    if not path.is_file():
        raise PosecError(f"no motion capture '{path}'; give the folder that holds {kind}.npz")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in ARRAYS}
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise PosecError(f"cannot read motion capture '{path}': {error}") from error
    frames, joints = values["rotations"].shape[:2]
    count = len(values["clips"])
    shapes = {
        "rotations": (frames, joints, 4),
        "root": (frames, 3),
        "offsets": (joints, 3),
        "parents": (joints,),
        "joint_names": (joints,),
        "neutral_rotations": (joints, 4),
        "starts": (count + 1,),
        "split": (count,),
    }
    for name, shape in shapes.items():
        found = values[name].shape
        if found != shape or frames > MAX_FRAMES:
            raise PosecError(
                f"'{path}': {name} must have shape {shape} and at most {MAX_FRAMES} frames, got {found}"
            )
    if any(not -1 <= parent < joint for joint, parent in enumerate(values["parents"])):
        raise PosecError(f"'{path}': parents must stand before their children, the root first with -1")
    return Clips(
        kind=kind,
        names=tuple(map(str, values["clips"])),
        splits=tuple(map(str, values["split"])),
        starts=values["starts"],
        fps=float(values["fps"]),
        rotations=values["rotations"],
        root_m=values["root"],
        offsets=values["offsets"],
        parents=tuple(map(int, values["parents"])),
        joint_names=tuple(map(str, values["joint_names"])),
        neutral_rotations=values["neutral_rotations"],
    )
