"""Inputs of commands: checkpoint, frames, ranges, source. `samples` stands for the shipped pictures."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import PosecError

if TYPE_CHECKING:  # a board that runs bundles has neither onnx nor these
    import numpy as np

    from calibration import Frames

    from ...ir.graph import Graph
    from ...ir.ranges import Ranges
    from ...runtime.estimator import PoseEstimator
    from ...runtime.pose import PoseSpec

SAMPLES = Path(__file__).parents[2] / "samples"


def sample(path: str, default: str) -> Path:
    """Return a path; `samples` stands for the shipped `default`, `./samples` for a folder of that name."""
    return SAMPLES / default if path == "samples" else Path(path)


def source(text: str) -> str:
    """Return a source for `open_source`; `samples` is the shipped clip, unless a file has that name."""
    return str(SAMPLES / "clip.mp4") if text == "samples" and not os.path.lexists(text) else text


@functools.lru_cache(maxsize=2)
def checkpoint(name: str) -> Graph:
    """Return the traced network. The last two are cached: the demo traces the same one many times."""
    from ...frontend.trace import trace

    return trace(name)


def estimator(
    network: str, threads: int | None = None, *, refine: bool = True, threshold: float | None = None
) -> tuple[PoseEstimator, Mapping[str, np.ndarray]]:
    """Return the estimator of a bundle or of a float network, and the arrays of its temporal stage."""
    from ...ir.float_engine import float_estimator
    from ...runtime import load
    from ...runtime.decoding.bone_prior import REFINEMENT
    from ...runtime.temporal.bundled import read_stage

    if (Path(network) / "bundle.json").is_file():
        found = load(network, threads, refine=refine, centre_threshold=threshold)
        return found, read_stage(found.bundle) if found.bundle is not None else {}
    graph = checkpoint(network)
    graph = replace(graph, spec=graph.spec.with_threshold(threshold))
    return float_estimator(graph, threads, REFINEMENT if refine else None), graph.temporal


def focal_lengths(given: Sequence[float] | None, cameras: int) -> list[float | None]:
    """Return the focal length of each camera, None without one.

    Raises PosecError for fewer than two cameras or too many, and for another number of focal lengths.
    """
    from ...runtime.views.camera_poses import MOST_CAMERAS

    if not 2 <= cameras <= MOST_CAMERAS:
        raise PosecError(f"2 to {MOST_CAMERAS} recordings are needed, got {cameras}")
    if not given:
        return [None] * cameras
    focals = [*given] * cameras if len(given) == 1 else [*given]
    if len(focals) != cameras or not all(0 < focal < math.inf for focal in focals):
        raise PosecError(f"--focal-px takes a positive number for each of {cameras} cameras, or one for all")
    return [*focals]


def frames(
    path: str, spec: PoseSpec, count: int | None = None, *, seed: int = 0, samples: str = "calibration"
) -> Frames:
    """Return the pictures of a folder, a listing (.txt) or a video.

    `samples` names the shipped folder that the word `samples` stands for.
    """
    import calibration

    if not path:
        raise PosecError("the name of the frames is empty; give a folder of pictures, a video, or a listing")
    where = sample(path, samples)
    if where.is_dir():
        return calibration.folder(where, spec, count=count, seed=seed)
    if not where.is_file():
        raise PosecError(
            f"no folder, video or .txt list of pictures '{path}'; frames are read more than once, so record "
            "those of a camera in a file first"
        )
    if where.suffix == ".txt":
        return calibration.listing(where, spec, count=count, seed=seed)
    return calibration.video(where, spec, count=count, seed=seed)


def ranges(path: str | None) -> Ranges | None:
    """Return the ranges in a file of `posec calibrate`, or None without a file."""
    from ...ir.ranges import Ranges

    return Ranges.load(path) if path else None
