"""Golden pictures: a board checks that it finds the same people on them as the float network."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..device.comparison.unsteadiness import PERTURBATION, perturbed
from ..device.golden_check import CHANGED
from ..errors import PosecError
from ..ir.float_engine import float_estimator
from ..ir.graph import Graph
from ..runtime.bundle import GOLDEN, LARGEST_PEOPLE, MOST_PICTURES, MOST_PIXELS
from ..runtime.decoding.centres import find_centres
from ..runtime.estimator import PoseEstimator
from ..runtime.files.pictures import SourceError, decode_picture, encode_picture, read_picture
from ..runtime.pose import PoseFrame

SCENES = Path(__file__).parents[1] / "samples" / "scenes"
_SHIPPED = 8
# Rounding alone may move a score across the threshold by this much.
_MARGIN = 0.1


class _Golden(NamedTuple):
    picture: np.ndarray
    people: PoseFrame


def golden_files(
    graph: Graph, pictures: Sequence[np.ndarray] | None = None, threads: int | None = None
) -> dict[str, bytes]:
    """Return golden/000.png, …, golden/people.json and golden/changed.json.

    people.json holds the people that the float graph finds on each picture, changed.json those that it finds
    on slightly changed pictures, see `unsteadiness`.

    Args:
        graph: the prepared float graph.
        pictures: BGR (H, W, 3) uint8; an empty sequence gives no files. None takes a few of the shipped
            scenes, spread over them. Scenes without a score near the threshold are preferred: rounding does
            not change their people.
        threads: of the float network; None takes all processors.

    Raises PosecError where there are too many pictures or people, or where one is not a picture.
    """
    if pictures is not None and len(pictures) > MOST_PICTURES:
        raise PosecError(
            f"a bundle carries up to {MOST_PICTURES} golden pictures, got {len(pictures)}; give fewer"
        )
    if (
        pictures is not None
        and sum(picture.shape[0] * picture.shape[1] for picture in pictures) > MOST_PIXELS
    ):
        raise PosecError(
            f"golden pictures may have {MOST_PIXELS // 10**6} million pixels together; "
            "give fewer or smaller ones"
        )
    estimator = float_estimator(graph, threads)
    rendered = pictures is None
    golden = (
        _shipped(estimator) if pictures is None else [_Golden(each, estimator(each)) for each in pictures]
    )
    if not golden:
        return {}
    # `focal_px` null: the camera is unknown, and the specification's default focal length was used.
    lines = [json.dumps({**each.people.to_dict(), "focal_px": None}, allow_nan=False) for each in golden]
    people = ("[\n" + ",\n".join(lines) + "\n]\n").encode()
    if len(people) > LARGEST_PEOPLE:
        raise PosecError(
            f"the golden pictures show too many people: {len(people)} bytes of {LARGEST_PEOPLE}; "
            "give fewer pictures"
        )
    files = {
        f"golden/{number:03d}.png": encode_picture(each.picture, ".png") for number, each in enumerate(golden)
    }
    changed = [estimator(perturbed(each.picture)).to_dict() for each in golden]
    plain = {"rendered": rendered, "perturbation": PERTURBATION, "people": changed}
    return {**files, GOLDEN: people, CHANGED: json.dumps(plain, allow_nan=False).encode()}


def golden_pictures(files: Mapping[str, bytes]) -> list[np.ndarray]:
    """Return the pictures, BGR (H, W, 3) uint8, among the files of `golden_files`."""
    names = sorted(name for name in files if name.endswith(".png"))
    return [decode_picture(files[name], f"'{name}'") for name in names]


def is_sure(heads: Mapping[str, np.ndarray], threshold: float) -> bool:
    """Return whether no peak of the center map lies near the threshold."""
    _, scores = find_centres(heads["centre"][0], threshold - _MARGIN)
    return bool(np.all(scores >= threshold + _MARGIN))


def _shipped(estimator: PoseEstimator) -> list[_Golden]:
    """Return shipped scenes; none where they are not installed."""
    paths = sorted(path for suffix in ("*.jpg", "*.png") for path in SCENES.glob(suffix))
    sure: list[_Golden] = []
    unsure: list[_Golden] = []
    # Multiples of the golden ratio are spread over the scenes at any count.
    for index in sorted(range(len(paths)), key=lambda index: index * 0.618034 % 1):
        if len(sure) == _SHIPPED:
            break
        try:
            picture = read_picture(paths[index])
        except SourceError as error:
            raise PosecError(f"a shipped scene is damaged: {error}; install posec again") from error
        detection = estimator.detect(picture)
        group = sure if is_sure(detection.heads, estimator.spec.centre_threshold) else unsure
        group.append(_Golden(picture, detection.people))
    return [*sure, *unsure][:_SHIPPED]


def pack_arrays(arrays: dict[str, np.ndarray]) -> bytes:
    """Return arrays as the bytes of an .npz file; equal arrays give equal bytes."""
    file = io.BytesIO()
    floats: dict[str, Any] = {name: np.ascontiguousarray(arrays[name], np.float32) for name in sorted(arrays)}
    np.savez(file, **floats)
    return file.getvalue()
