"""Read CMU Panoptic (Joo et al., ICCV 2015 and PAMI 2017) as its scripts download it.

Each sequence is a folder NAME with calibration_NAME.json, hdPose3d_stage1_coco19/body3DScene_00000000.json,
and hdImgs/00_16/00_16_00000000.jpg for high-definition camera 16. Joints are in cm in the world; pictures are
distorted, and labels are projected with the camera's distortion. Cameras are those whose pictures are there;
papers on monocular pose take 00_16 and 00_30 (Zanfir et al., CVPR 2018).

Left out: joints with a confidence of 0.1 or less, and people whose neck or pelvis is uncertain or outside the
picture.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from ...errors import PosecError
from ...runtime.files.plain_json import read_json
from .labelled import DataSet, LabelledFrame, data_set, numbers_in, people_of, skeleton_of

PROTOCOL = "cmu-panoptic"
ADVICE = "give a folder of sequences with calibration_NAME.json, hdPose3d_stage1_coco19 and hdImgs"
MOST_BYTES = 16 << 20
LEAST_CONFIDENCE = 0.1
_FRAME = re.compile(r"body3DScene_(\d{1,10})\.json")
_CAMERA = re.compile(r"00_\d\d")
_COCO19 = [
    "neck",
    "nose",
    "pelvis",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_eye",
    "left_ear",
    "right_eye",
    "right_ear",
]
_PARENTS = {
    "pelvis": "",
    "neck": "pelvis",
    "nose": "neck",
    **{
        f"{side}_{joint}": parent.format(side=side)
        for joint, parent in (
            ("shoulder", "neck"),
            ("elbow", "{side}_shoulder"),
            ("wrist", "{side}_elbow"),
            ("hip", "pelvis"),
            ("knee", "{side}_hip"),
            ("ankle", "{side}_knee"),
            ("eye", "nose"),
            ("ear", "{side}_eye"),
        )
        for side in ("left", "right")
    },
}
SKELETON = skeleton_of(_PARENTS)
_ORDER = [_COCO19.index(name) for name in SKELETON.names]


class _Camera(NamedTuple):
    """Intrinsics (3, 3), distortion (5,), rotation (3, 3) and translation (3,) in cm, (width, height)."""

    intrinsics: np.ndarray
    distortion: np.ndarray
    rotation: np.ndarray
    shift_cm: np.ndarray
    size: tuple[int, int]


def read_panoptic(folder: str | Path, step: int = 1) -> DataSet:
    """Return every `step`-th frame of all sequences and cameras in a folder, or of one sequence's folder.

    Raises PosecError without sequences, and for files that contradict the layout.
    """
    root = Path(folder)
    own = (root / "hdPose3d_stage1_coco19").is_dir()
    frames: list[LabelledFrame] = []
    for sequence in [root] if own else sorted(path.parent for path in root.glob("*/hdPose3d_stage1_coco19")):
        prefix = "" if own else f"{sequence.name}/"
        cameras = _cameras(sequence)
        for path in sorted((sequence / "hdPose3d_stage1_coco19").glob("body3DScene_*.json"))[::step]:
            match = _FRAME.fullmatch(path.name)
            if match:
                frames += _views(path, cameras, match[1], sequence.name, prefix)
    frames.sort(key=lambda frame: (frame.sequence, frame.index))
    return data_set(PROTOCOL, folder, SKELETON, frames, ADVICE)


def _read(path: Path) -> Any:
    return read_json(path, most_bytes=MOST_BYTES, error=PosecError, advice=ADVICE)


def _cameras(sequence: Path) -> dict[str, _Camera]:
    """Return the cameras of a sequence whose pictures are there."""
    path = sequence / f"calibration_{sequence.resolve().name}.json"
    plain = _read(path)
    present = {folder.name for folder in (sequence / "hdImgs").glob("00_*") if _CAMERA.fullmatch(folder.name)}
    try:
        return {
            entry["name"]: _Camera(
                numbers_in(entry["K"], (3, 3), "K"),
                numbers_in(entry["distCoef"], (5,), "distCoef"),
                numbers_in(entry["R"], (3, 3), "R"),
                numbers_in(np.ravel(entry["t"]), (3,), "t"),
                (int(entry["resolution"][0]), int(entry["resolution"][1])),
            )
            for entry in plain["cameras"]
            if entry["name"] in present
        }
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise PosecError(f"'{path}' is not a calibration of CMU Panoptic: {error}; {ADVICE}") from error


def _views(
    path: Path, cameras: dict[str, _Camera], number: str, sequence: str, prefix: str
) -> list[LabelledFrame]:
    """Return a frame as each camera sees it."""
    try:
        bodies = _read(path)["bodies"]
        numbers = np.array([int(body["id"]) for body in bodies], int)
        joints = np.stack(
            [numbers_in(body["joints19"], (76,), "joints19").reshape(19, 4)[_ORDER] for body in bodies]
            or [np.zeros((0, 4))]
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise PosecError(f"'{path}' is not a frame of CMU Panoptic: {error}; {ADVICE}") from error
    if not len(numbers):
        return []
    world_cm = np.where(joints[..., 3:] > LEAST_CONFIDENCE, joints[..., :3], np.nan)
    found = []
    for name, camera in cameras.items():
        local_cm = world_cm @ camera.rotation.T + camera.shift_cm
        pixels = _project(local_cm, camera)
        torso = [SKELETON.index("neck"), SKELETON.index("pelvis")]
        inside = (pixels[:, torso] >= 0).all(axis=(1, 2)) & (pixels[:, torso] < camera.size).all(axis=(1, 2))
        inside &= (local_cm[:, torso, 2] > 0).all(axis=1)
        if inside.any():
            found.append(
                LabelledFrame(
                    f"{prefix}hdImgs/{name}/{name}_{number}.jpg",
                    f"{sequence}/{name}",
                    int(number),
                    float(camera.intrinsics[0, 0]),
                    people_of(10 * local_cm[inside], pixels[inside], SKELETON),
                    numbers[inside],
                )
            )
    return found


def _project(local_cm: np.ndarray, camera: _Camera) -> np.ndarray:
    """Return pixels (N, J, 2) of points (N, J, 3) in the camera frame, distorted; NaN behind the camera."""
    flat = local_cm.reshape(-1, 3)
    pixels = np.full((len(flat), 2), np.nan)
    seen = np.isfinite(flat).all(axis=1) & (flat[:, 2] > 0)
    if seen.any():
        zero = np.zeros(3)
        points, _ = cv2.projectPoints(flat[seen], zero, zero, camera.intrinsics, camera.distortion)
        pixels[seen] = points.reshape(-1, 2)
    return pixels.reshape(*local_cm.shape[:2], 2)
