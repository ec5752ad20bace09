"""Inputs of commands: a checkpoint, frames, ranges, a source of pictures. The word `samples` stands for the shipped pictures."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import PosecError
from ..runtime.pose import PoseSpec

if TYPE_CHECKING:  # a board that runs bundles has neither onnx nor these
    from calibration import Frames

    from ..ir.graph import Graph
    from ..ir.ranges import Ranges

SAMPLES = Path(__file__).parents[1] / "samples"


def sample(path: str, default: str) -> Path:
    """Return a path; the word `samples` stands for the shipped `default`, `./samples` for a folder of that name."""
    return SAMPLES / default if path == "samples" else Path(path)


def source(text: str) -> str:
    """Return a source for `open_source` as it was typed: an address is no path. A file or folder called `samples` comes first."""
    return str(SAMPLES / "clip.mp4") if text == "samples" and not os.path.lexists(text) else text


@functools.lru_cache(maxsize=2)
def checkpoint(name: str) -> Graph:
    """Return the traced network; the last two are cached, because the demo uses one many times."""
    from ..frontend.trace import trace

    return trace(name)


def frames(
    path: str, spec: PoseSpec, count: int | None = None, seed: int = 0, samples: str = "calibration"
) -> Frames:
    """Return pictures of a folder, a listing (.txt) or a video; `samples` names the shipped folder that the word stands for."""
    if not path:
        raise PosecError("the name of the frames is empty; give a folder of pictures, a video, or a listing")
    import calibration

    where = sample(path, samples)
    take = (
        calibration.folder
        if where.is_dir()
        else calibration.listing
        if where.suffix == ".txt"
        else calibration.video
    )
    return take(where, spec, count=count, seed=seed)


def ranges(path: str | None) -> Ranges | None:
    """Return the ranges in a file of `posec calibrate`, or None without a file."""
    from ..ir.ranges import Ranges

    return Ranges.load(path) if path else None
