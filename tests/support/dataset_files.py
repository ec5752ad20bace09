"""Small data sets in the layout of their owners, with people given as PoseFrames."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from toolkit.runtime.pose import MUPOTS17, PoseFrame

FOCAL_PX = 500.0
SIZE = (400, 640)
COCO19 = [
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
SMPL24 = [
    "pelvis",
    "left_hip",
    "right_hip",
    "spine1",
    "left_knee",
    "right_knee",
    "spine2",
    "left_ankle",
    "right_ankle",
    "spine3",
    "left_foot",
    "right_foot",
    "neck",
    "left_collar",
    "right_collar",
    "smpl_head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hand",
    "right_hand",
]


def people_in_view(pose: np.ndarray, *roots_mm: tuple[float, float, float]) -> PoseFrame:
    """People of one pose (17, 3) at some places, projected by a pinhole camera of FOCAL_PX."""
    roots = np.array(roots_mm, np.float32).reshape(-1, 3)
    joints_mm = np.repeat(pose[None].astype(np.float32), len(roots), axis=0)
    absolute = joints_mm + roots[:, None]
    pixels = FOCAL_PX * absolute[..., :2] / absolute[..., 2:] + np.float32([SIZE[1] / 2, SIZE[0] / 2])
    scores = np.linspace(0.9, 0.5, len(roots)).astype(np.float32)
    return PoseFrame(scores, pixels[:, [1, 14]].mean(axis=1), joints_mm, roots, pixels)


def write_picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*SIZE, 3), 90, np.uint8))


def absolute_mm(people: PoseFrame) -> np.ndarray:
    return (people.joints_mm + people.roots_mm[:, None]).astype(np.float64)


def mupots_entry(people: PoseFrame, person: int, *, valid: bool = True, universal: float = 1.0) -> dict:
    return {
        "annot2": people.joints_px[person].T.astype(float),
        "annot3": absolute_mm(people)[person].T,
        "univ_annot3": universal * people.joints_mm[person].T.astype(float),
        "isValidFrame": float(valid),
    }


def write_mupots(folder: Path, sequences: dict[str, list[PoseFrame]], **options: object) -> Path:
    """All frames of a sequence have the same number of people."""
    for name, frames in sequences.items():
        cells = np.empty((len(frames), len(frames[0])), object)
        for index, people in enumerate(frames):
            write_picture(folder / name / f"img_{index:06d}.jpg")
            for person in range(len(people)):
                cells[index, person] = mupots_entry(people, person, **options)
        savemat(folder / name / "annot.mat", {"annotations": cells}, do_compression=True)
    return folder


def write_3dhp(folder: Path, sequences: dict[str, list[PoseFrame]], valid: list[int]) -> Path:
    import h5py

    for name, frames in sequences.items():
        for index in range(len(frames)):
            write_picture(folder / name / "imageSequence" / f"img_{index + 1:06d}.jpg")
        with h5py.File(folder / name / "annot_data.mat", "w") as file:
            file["annot2"] = np.stack([people.joints_px[:1] for people in frames]).astype(float)
            file["annot3"] = np.stack([absolute_mm(people)[:1] for people in frames])
            file["univ_annot3"] = np.stack([people.joints_mm[:1] for people in frames]).astype(float)
            file["valid_frame"] = np.array(valid, float)[:, None]
    return folder


def named(people: PoseFrame, names: list[str]) -> np.ndarray:
    """Absolute joints (N, len(names), 3) in mm; those that MUPOTS17 lacks lie on the neck."""
    known = [MUPOTS17.index(name if name in MUPOTS17.names else "neck") for name in names]
    return absolute_mm(people)[:, known]


def write_panoptic(folder: Path, frames: list[PoseFrame], confidence: float = 0.9) -> Path:
    """A camera that is turned by 90 degrees about its axis and moved; joints in cm in the world."""
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    shift_cm = np.array([10.0, -20, 30])
    sequence = folder / "170407_haggling"
    (sequence / "hdPose3d_stage1_coco19").mkdir(parents=True)
    camera = {
        "name": "00_16",
        "K": [[FOCAL_PX, 0, SIZE[1] / 2], [0, FOCAL_PX, SIZE[0] / 2], [0, 0, 1]],
        "distCoef": [0.0, 0, 0, 0, 0],
        "R": turn.tolist(),
        "t": shift_cm[:, None].tolist(),
        "resolution": [SIZE[1], SIZE[0]],
    }
    unseen = {**camera, "name": "00_30"}
    (sequence / "calibration_170407_haggling.json").write_text(json.dumps({"cameras": [camera, unseen]}))
    for index, people in enumerate(frames):
        write_picture(sequence / "hdImgs" / "00_16" / f"00_16_{index:08d}.jpg")
        world_cm = (named(people, COCO19) / 10 - shift_cm) @ turn
        joints = np.concatenate([world_cm, np.full((*world_cm.shape[:2], 1), confidence)], axis=-1)
        bodies = [
            {"id": person, "joints19": joints[person].ravel().tolist()} for person in range(len(people))
        ]
        path = sequence / "hdPose3d_stage1_coco19" / f"body3DScene_{index:08d}.json"
        path.write_text(json.dumps({"version": 0.7, "bodies": bodies}))
    return folder


def python2_text(text: str) -> bytes:
    return b"U" + bytes([len(text)]) + text.encode()


def python2_array(array: np.ndarray) -> bytes:
    """An array as Python 2 pickled it in protocol 2: its bytes are a str."""
    data = array.tobytes()
    shape = b"(" + b"".join(b"J" + struct.pack("<i", size) for size in array.shape) + b"t"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85U\x01btR"
        b"(K\x01" + shape + b"cnumpy\ndtype\n(" + python2_text(array.dtype.str[1:]) + b"K\0K\x01tR"
        b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"
        b"T" + struct.pack("<i", len(data)) + data + b"tb"
    )


def python2_dict(values: dict[str, bytes]) -> bytes:
    return b"}(" + b"".join(python2_text(name) + value for name, value in values.items()) + b"u"


def threedpw_values(frames: list[PoseFrame], valid: list[list[int]]) -> dict[str, bytes]:
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = [[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], [0.1, -0.2, 0.3]
    world_m = np.stack([(named(people, SMPL24) / 1000 - pose[:3, 3]) @ pose[:3, :3] for people in frames])
    people = range(world_m.shape[1])
    intrinsics = np.array([[FOCAL_PX, 0, SIZE[1] / 2], [0, FOCAL_PX, SIZE[0] / 2], [0, 0, 1]])
    positions = [python2_array(world_m[:, person].reshape(len(frames), -1)) for person in people]
    return {
        "sequence": python2_text("walk_00"),
        "jointPositions": b"](" + b"".join(positions) + b"e",
        "cam_poses": python2_array(np.repeat(pose[None], len(frames), axis=0)),
        "cam_intrinsics": python2_array(intrinsics),
        "campose_valid": b"](" + b"".join(python2_array(np.array(row, "i8")) for row in valid) + b"e",
    }


def write_3dpw(folder: Path, values: dict[str, bytes], frames: int) -> Path:
    path = folder / "sequenceFiles" / "test" / "walk_00.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x80\x02" + python2_dict(values) + b".")
    for index in range(frames):
        write_picture(folder / "imageFiles" / "walk_00" / f"image_{index:05d}.jpg")
    return folder
