"""Read 3DPW (von Marcard et al., ECCV 2018): sequenceFiles/test/NAME.pkl and imageFiles/NAME/image_00000.jpg.

The sequence files are pickles of Python 2, which are read without unpickling (see `pickled`). Used are
jointPositions (per person: frames, 72) in metres in the world, cam_poses (frames, 4, 4) from world to camera,
cam_intrinsics (3, 3), and campose_valid (per person: frames). Joints are SMPL's 24. Papers score 14 joints
that they regress from SMPL's mesh, which needs the licensed model; figures on SMPL's joints are near these,
but not the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import PosecError
from .labelled import DataSet, LabelledFrame, data_set, numbers_in, people_of, skeleton_of
from .pickled import array_of, read_pickle

PROTOCOL = "3dpw"
ADVICE = "give the folder that holds sequenceFiles and imageFiles"
_PARENTS = {
    "pelvis": "",
    "left_hip": "pelvis",
    "right_hip": "pelvis",
    "spine1": "pelvis",
    "left_knee": "left_hip",
    "right_knee": "right_hip",
    "spine2": "spine1",
    "left_ankle": "left_knee",
    "right_ankle": "right_knee",
    "spine3": "spine2",
    "left_foot": "left_ankle",
    "right_foot": "right_ankle",
    "neck": "spine3",
    "left_collar": "spine3",
    "right_collar": "spine3",
    "smpl_head": "neck",
    "left_shoulder": "left_collar",
    "right_shoulder": "right_collar",
    "left_elbow": "left_shoulder",
    "right_elbow": "right_shoulder",
    "left_wrist": "left_elbow",
    "right_wrist": "right_elbow",
    "left_hand": "left_wrist",
    "right_hand": "right_wrist",
}
SKELETON = skeleton_of(_PARENTS)
_JOINTS = len(SKELETON.names)


def read_3dpw(folder: str | Path, step: int = 1) -> DataSet:
    """Return every `step`-th frame of the test sequences.

    Raises PosecError without sequences, and for files that contradict the layout or hold other objects than
    arrays, numbers and text.
    """
    frames = []
    for path in sorted(Path(folder).glob("sequenceFiles/test/*.pkl")):
        plain = read_pickle(path)
        try:
            if not isinstance(plain, dict):
                raise ValueError("it is no dictionary")
            frames += _sequence(path.stem, plain)[::step]
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise PosecError(f"'{path}' is not a sequence of 3DPW: {error}; {ADVICE}") from error
    return data_set(PROTOCOL, folder, SKELETON, frames, ADVICE)


def _sequence(name: str, plain: dict[str, Any]) -> list[LabelledFrame]:
    poses = array_of(plain["cam_poses"])
    count = len(poses)
    poses = numbers_in(poses, (count, 4, 4), "cam_poses")
    intrinsics = numbers_in(array_of(plain["cam_intrinsics"]), (3, 3), "cam_intrinsics")
    people = [
        numbers_in(array_of(person), (count, 3 * _JOINTS), "jointPositions").reshape(count, _JOINTS, 3)
        for person in plain["jointPositions"]
    ]
    valid = [numbers_in(array_of(person), (count,), "campose_valid") > 0 for person in plain["campose_valid"]]
    if len(valid) != len(people):
        raise ValueError("jointPositions and campose_valid have different numbers of people")
    frames = []
    for index in range(count):
        present = np.array([person for person in range(len(people)) if valid[person][index]], int)
        if not len(present):
            continue
        world_m = np.stack([people[person][index] for person in present])
        local_mm = 1000 * (world_m @ poses[index, :3, :3].T + poses[index, :3, 3])
        if (local_mm[..., 2] <= 1).any():
            raise ValueError(f"a joint of frame {index} lies behind the camera")
        pixels = local_mm @ intrinsics.T
        frames.append(
            LabelledFrame(
                f"imageFiles/{name}/image_{index:05d}.jpg",
                name,
                index,
                float(intrinsics[0, 0]),
                people_of(local_mm, pixels[..., :2] / pixels[..., 2:], SKELETON),
                present,
            )
        )
    return frames
