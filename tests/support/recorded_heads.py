"""Heads of a perfect network, made from people that the test chooses, and replay bundles of them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from networks import EMBEDDING, tiny_decoder, tiny_spec, with_keypoints

from toolkit.runtime.bundle import Bundle, write_bundle
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.pose import PoseSpec

UPRIGHT = (
    0.0,
    -1.0,
    0.0,
    1.0,
    0.0,
    0.0,
)  # torso's y axis up in the picture, x axis to its right: seen from the front


@dataclass(frozen=True)
class Recorded:
    """One person as the heads say it: the cell that peaks, the offset (x, y) in cells, and the rest."""

    row: int
    column: int
    score: float = 0.8
    offset: tuple[float, float] = (0.0, 0.0)
    embedding: tuple[float, ...] = (0.0,) * EMBEDDING
    rotation: tuple[float, ...] = UPRIGHT
    depth: float = 0.0


def recorded_heads(people: Sequence[Recorded], spec: PoseSpec | None = None) -> dict[str, np.ndarray]:
    """Return head name → (C, h, w) float32 with these people and noise well below the threshold elsewhere."""
    spec = spec or tiny_spec()
    random = np.random.default_rng(0)
    heads = {
        name: random.uniform(-0.5, 0.5, spec.head_shape(name)).astype(np.float32) for name in spec.head_names
    }
    heads["centre"] = random.uniform(0, 0.1, (1, *spec.map_size)).astype(np.float32)
    if spec.keypoints is not None:
        heads["keypoints"] *= 0
    for person in people:
        heads["centre"][0, person.row, person.column] = person.score
        for name in ("offset", "embedding", "rotation", "depth"):
            heads[name][:, person.row, person.column] = getattr(person, name)
    return heads


def packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return arrays as the bytes of an .npz file."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def bundle_info(spec: PoseSpec | None = None, **changes: Any) -> dict[str, Any]:
    """Return the fields of a bundle.json for `write_bundle`."""
    info = {
        "posec": "0.1.0",
        "name": "tiny",
        "target": "generic-cpu",
        "backend": "onnxruntime",
        "engine": "replay",
        "precision": "float32",
        "model": "heads.npz",
        "frame": vars(FrameInput("uint8", "NHWC", "BGR", False)),
        "spec": (spec or tiny_spec()).to_dict(),
        "scheme": None,
        "float_baseline": "float32 ONNX Runtime",
        "ranges_sha256": None,
        "graph_sha256": "0" * 64,
        "passes": [["fold_batch_norm", 3]],
        "tools": {"onnx": "1.0"},
        "licence": "made by the tests",
        "allowed": {"drift_mm": 8.0, "people_lost": 0.0, "people_invented": 0.0},
        "options": {},
        "float_layers": [],
    }
    return {**info, **changes}


def replay_bundle(
    folder: Path, heads: Mapping[str, np.ndarray], spec: PoseSpec | None = None, **changes: Any
) -> Bundle:
    """Write a bundle that plays these heads."""
    files = {"heads.npz": packed(heads), "pose.npz": packed(tiny_decoder())}
    return write_bundle(folder, bundle_info(spec, **changes), files)


def keypoint_spec() -> PoseSpec:
    """Return `wide_spec` with heads of key points."""
    return with_keypoints(wide_spec())


def mark(
    heads: Mapping[str, np.ndarray], spec: PoseSpec, channel: int, x: float, y: float, heat: float = 0.9
) -> None:
    """Write a key point at input pixel (x, y) into its nearest cell."""
    assert spec.keypoints is not None
    grid, (_, rows, columns) = spec.keypoints, spec.head_shape("keypoints")
    row, column = (int(np.clip(round(v / grid.stride), 0, size - 1)) for v, size in ((y, rows), (x, columns)))
    heads["keypoints"][channel, row, column] = heat
    heads["keypoint_offset"][[channel, channel + len(grid.joints)], row, column] = (
        x / grid.stride - column,
        y / grid.stride - row,
    )


def wide_spec() -> PoseSpec:
    """Return the tiny contract at 256 x 448: 32 x 56 cells."""
    return replace(tiny_spec(), input_size=(256, 448))
