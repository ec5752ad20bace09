"""Golden pictures: what a bundle carries so that a board can check that it finds the people whom the float network found."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from .errors import PosecError
from .float_estimator import FloatEstimator
from .graph import Graph

SCENES = Path(__file__).parent / "samples" / "scenes"
MOST_PICTURES = 64
_DEFAULT_COUNT = 4


def default_pictures() -> list[np.ndarray]:
    """Return the first of the shipped scenes, BGR (H, W, 3) uint8; none where the scenes are not installed."""
    paths = sorted(path for suffix in ("*.jpg", "*.png") for path in SCENES.glob(suffix))[:_DEFAULT_COUNT]
    return [picture for path in paths if (picture := cv2.imread(str(path))) is not None]


def golden_files(graph: Graph, pictures: Sequence[np.ndarray]) -> dict[str, bytes]:
    """Return golden/000.png, … and golden/people.json: the people that the float graph finds, picture by picture.

    Args:
        graph: the prepared float graph.
        pictures: BGR (H, W, 3) uint8; none gives no files.

    Raises PosecError where there are too many, or where a picture is not one.
    """
    if len(pictures) > MOST_PICTURES:
        raise PosecError(f"a bundle carries up to {MOST_PICTURES} golden pictures, got {len(pictures)}; give a few that matter")
    if not pictures:
        return {}
    estimator = FloatEstimator(graph)
    people = [estimator(picture).to_dict() for picture in pictures]
    files = {f"golden/{number:03d}.png": cv2.imencode(".png", picture)[1].tobytes() for number, picture in enumerate(pictures)}
    # `focal_px` null: found with the spec's default focal length, as nothing is known of the camera.
    lines = [json.dumps({**frame, "focal_px": None}) for frame in people]
    return {**files, "golden/people.json": ("[\n" + ",\n".join(lines) + "\n]\n").encode()}


def pack_arrays(arrays: dict[str, np.ndarray]) -> bytes:
    """Return arrays as the bytes of an .npz file; equal arrays give equal bytes."""
    file = io.BytesIO()
    np.savez(file, **{name: np.ascontiguousarray(arrays[name], np.float32) for name in sorted(arrays)})  # type: ignore[arg-type]
    return file.getvalue()
