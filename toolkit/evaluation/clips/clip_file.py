"""Rendered clips: videos with exact 3D poses, as `posec train clips` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...errors import PosecError
from ...runtime.files.plain_json import read_json
from ...runtime.pose import MUPOTS17, Skeleton
from ..pictures import read_picture
from ..scene_file import MOST_BYTES, Scene, scene_of

KIND = "labels of a rendered clip"


@dataclass(frozen=True)
class LabelledClip:
    """A clip; people keep their index in all frames.

    Attributes:
        name: of the clip.
        folder: of its frames, `0000.jpg` and so on.
        fps: frames per second.
        focal_px: focal length in pixels of its frames.
        frames: truth of each frame.
        camera: kind of motion of the camera.
        skeleton: of the people.
        recording: name that clips of the same people at the same instants share; its own without others.
    """

    name: str
    folder: Path
    fps: float
    focal_px: float
    frames: tuple[Scene, ...]
    camera: str = "static"
    skeleton: Skeleton = MUPOTS17
    recording: str = ""

    def pictures(self) -> Iterator[np.ndarray]:
        """Yield the frames (H, W, 3) uint8 BGR, read as they come. Raises PosecError for a missing one."""
        return (self.picture(index) for index in range(len(self.frames)))

    def picture(self, index: int) -> np.ndarray:
        """Return one frame (H, W, 3) uint8 BGR. Raises PosecError where it is missing."""
        return read_picture(self.folder, f"{index:04d}.jpg")


def read_labelled_clips(folder: str | Path) -> list[LabelledClip]:
    """Read the clips of a folder, by name. Raises PosecError where it holds none, or wrong labels."""
    paths = sorted(Path(folder).glob("*.json"))
    if not paths:
        raise PosecError(f"no clips in '{folder}'; give a folder that `posec train clips` wrote")
    return [_read(path) for path in paths]


def _read(path: Path) -> LabelledClip:
    plain = read_json(path, most_bytes=MOST_BYTES, error=PosecError, advice=f"give {KIND} (.json)")
    try:
        fps, focal_px = float(plain["fps"]), float(plain["focal_px"])
        frames = tuple(
            scene_of({**frame, "file": f"{path.stem}/{index:04d}.jpg", "focal_px": focal_px}, MUPOTS17)
            for index, frame in enumerate(plain["frames"])
        )
        if not 0 < fps < 10_000 or len({len(frame.people) for frame in frames}) != 1:
            raise ValueError("frames per second must be above 0, and all frames have the same people")
        return LabelledClip(
            path.stem,
            path.with_suffix(""),
            fps,
            focal_px,
            frames,
            camera=str(plain.get("camera", "static")),
            recording=str(plain.get("recording", path.stem)),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        reason = f"a record lacks {error}" if isinstance(error, KeyError) else str(error)
        raise PosecError(f"'{path}' is not {KIND}: {reason}; render it again") from error
