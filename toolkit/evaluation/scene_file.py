"""Rendered scenes: pictures with exact 3D poses, from the truth file of the renderer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import PosecError
from ..runtime.files.plain_json import read_json
from ..runtime.pose import MUPOTS17, PoseFrame, Skeleton
from .joints import CENTRE_JOINTS
from .pictures import read_picture

MOST_BYTES = 256 << 20
KIND = "a file of rendered scenes"


@dataclass(frozen=True)
class Scene:
    """One picture: true people, visible fraction (N,) 0..1 of each, focal length in picture pixels."""

    people: PoseFrame
    visible: np.ndarray
    focal_px: float


@dataclass(frozen=True)
class Scenes:
    """Rendered scenes by file name, folder or tar file of their pictures, skeleton of their people."""

    scenes: Mapping[str, Scene]
    source: Path
    skeleton: Skeleton = MUPOTS17

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[tuple[str, np.ndarray, float | None]]:
        """Yield (name, BGR picture, focal length in its pixels), read as they come."""
        return (
            (name, read_picture(self.source, name), scene.focal_px) for name, scene in self.scenes.items()
        )


def read_scenes(
    path: str | Path, skeleton: Skeleton = MUPOTS17, pictures: str | Path | None = None
) -> Scenes:
    """Read a truth file of `training.scenes.render_scenes`: a list with one record per picture.

    Args:
        path: of the file.
        skeleton: of the people in the file; the renderer writes MuPoTS-3D's 17 joints.
        pictures: folder or tar file; None takes the folder of the file's name beside it (scenes/ for
            scenes.json), or the file's own folder.

    Raises PosecError for any other file.
    """
    plain = read_json(path, most_bytes=MOST_BYTES, error=PosecError, advice=f"give {KIND} (.json)")
    scenes: dict[str, Scene] = {}
    try:
        if not isinstance(plain, list):
            raise TypeError(f"a list of pictures is needed, got {type(plain).__name__}")
        for record in plain:
            name = str(record["file"])
            if name in scenes:
                raise ValueError(f"picture '{name}' occurs twice")
            scenes[name] = scene_of(record, skeleton)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        reason = f"a record lacks {error}" if isinstance(error, KeyError) else str(error)
        raise PosecError(f"'{path}' is not {KIND}: {reason}; render it again") from error
    beside = Path(path).with_suffix("")
    return Scenes(scenes, Path(pictures or (beside if beside.is_dir() else beside.parent)), skeleton)


def scene_of(plain: Mapping[str, Any], skeleton: Skeleton) -> Scene:
    """Return the scene of one record. Raises KeyError, TypeError and ValueError for a wrong one."""
    people, joints = plain["people"], len(skeleton.names)
    with np.errstate(over="ignore"):  # infinity is refused below
        stack = {
            name: np.array([person[name] for person in people], np.float32).reshape(len(people), *shape)
            for name, shape in (("joints_mm", (joints, 3)), ("root_mm", (3,)), ("joints_px", (joints, 2)))
        }
    visible, focal_px = np.array([float(person["visible"]) for person in people]), float(plain["focal_px"])
    if not (
        all(np.isfinite(values).all() for values in (*stack.values(), visible))
        and np.isfinite(focal_px)
        and focal_px > 0
    ):
        raise ValueError(
            f"a number of picture '{plain['file']}' is not finite, or its focal length not above 0"
        )
    centres_px = stack["joints_px"][:, [skeleton.index(name) for name in CENTRE_JOINTS]].mean(axis=1)
    truth = PoseFrame(
        np.ones(len(people), np.float32), centres_px, stack["joints_mm"], stack["root_mm"], stack["joints_px"]
    )
    return Scene(truth, visible, focal_px)
