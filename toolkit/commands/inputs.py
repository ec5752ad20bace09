"""What commands are given: a checkpoint, frames, ranges, and the word "samples" for what is shipped."""

from __future__ import annotations

import functools
from pathlib import Path

import calibration
from calibration import Frames

from ..ir.graph import Graph
from ..ir.ranges import Ranges
from ..runtime.pose import PoseSpec

SAMPLES = Path(__file__).parents[1] / "samples"


def sample(path: str, default: str) -> Path:
    """Return a path; the word "samples" means what is shipped."""
    return SAMPLES / default if path == "samples" else Path(path)


@functools.lru_cache(maxsize=2)
def checkpoint(name: str) -> Graph:
    """Return the traced network; the last two are kept, as the demo asks for the same again and again."""
    from ..frontend.trace import trace

    return trace(name)


def frames(
    path: str, spec: PoseSpec, count: int | None = None, seed: int = 0, samples: str = "calibration"
) -> Frames:
    """Return pictures of a folder, a listing (.txt) or a video; `samples` names the shipped folder that the word stands for."""
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
    """Return what `posec calibrate` wrote; None where no file was named."""
    return Ranges.load(path) if path else None
