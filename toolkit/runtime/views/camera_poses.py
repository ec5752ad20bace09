"""Poses of synchronized cameras relative to the first: the file of `posec locate`, for `posec run --fuse`."""

from __future__ import annotations

import json
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import numpy as np

from ..errors import PoseError
from ..files.plain_files import PathLike, write_plain
from ..files.plain_json import read_json

FORMAT = 1
MOST_CAMERAS = 16
MOST_BYTES = 1 << 20
LARGEST = 1e9
ADVICE = "give a file that `posec locate` wrote"


class CameraPose(NamedTuple):
    """The place of a camera.

    Attributes:
        rotation: (3, 3) from this camera's axes to those of the first camera.
        position_mm: (3,) of this camera in the frame of the first.
        offset_s: seconds to add to this camera's times to get those of the first.
        focal_px: focal length in pixels of its pictures; None as the bundle's specification states.
    """

    rotation: np.ndarray
    position_mm: np.ndarray
    offset_s: float = 0.0
    focal_px: Optional[float] = None


FIRST = CameraPose(np.eye(3), np.zeros(3))


def write_poses(path: PathLike, poses: Sequence[CameraPose], about: Optional[Dict[str, Any]] = None) -> None:
    """Write camera poses atomically, with more fields of the file in `about`."""
    cameras = [
        {
            "rotation": np.round(pose.rotation, 8).tolist(),
            "position_mm": np.round(pose.position_mm, 2).tolist(),
            "offset_s": round(pose.offset_s, 4),
            "focal_px": pose.focal_px,
        }
        for pose in poses
    ]
    plain = {"format": FORMAT, **(about or {}), "cameras": cameras}
    write_plain(path, json.dumps(plain, indent=1, allow_nan=False) + "\n")


def read_poses(path: PathLike) -> List[CameraPose]:
    """Return the poses of two or more cameras. Raises PoseError for any other file."""
    plain = read_json(path, most_bytes=MOST_BYTES, error=PoseError, advice=ADVICE)
    try:
        if plain["format"] != FORMAT:
            raise ValueError(f"it has format {plain['format']}, and this posec reads {FORMAT}")
        poses = [_pose(each) for each in plain["cameras"]]
        if not 2 <= len(poses) <= MOST_CAMERAS:
            raise ValueError(f"it has {len(poses)} cameras, and 2 to {MOST_CAMERAS} are needed")
        if not (np.allclose(poses[0].rotation, np.eye(3)) and np.allclose(poses[0].position_mm, 0)):
            raise ValueError("its first camera is not the frame of reference")
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise PoseError(f"'{path}' holds no camera poses: {reason}; {ADVICE}") from error
    return poses


def _pose(plain: Any) -> CameraPose:
    rotation, position_mm = np.array(plain["rotation"], float), np.array(plain["position_mm"], float)
    offset_s, focal_px = float(plain["offset_s"]), plain["focal_px"]
    focal_px = None if focal_px is None else float(focal_px)
    if rotation.shape != (3, 3) or position_mm.shape != (3,):
        raise ValueError(f"a rotation has shape {rotation.shape} and a position {position_mm.shape}")
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4) or np.linalg.det(rotation) < 0:
        raise ValueError("a rotation is not one")
    if max(np.abs(position_mm).max(), abs(offset_s), focal_px or 1) > LARGEST or (focal_px or 1) <= 0:
        raise ValueError("a position, an offset or a focal length is out of range")
    return CameraPose(rotation, position_mm, offset_s, focal_px)
