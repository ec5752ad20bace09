"""Bundles for the engine `tensorrt`, of the tiny network, and the versions of TensorRT that JetPacks have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from networks import tiny_graph_of

from toolkit.runtime.bundle import Bundle, write_bundle

VERSIONS = ("8.2.1.8", "8.4.1", "8.5.2.2", "8.6.2", "10.3.0")


def jetson_bundle(
    folder: Path, precision: str = "float16", model: onnx.ModelProto | None = None, **options: object
) -> Bundle:
    """Write a bundle of the tiny network that wants the engine `tensorrt`."""
    graph = tiny_graph_of()
    info = {
        "posec": "0.1.0",
        "name": "tiny",
        "target": "jetson-test",
        "backend": "tensorrt",
        "engine": "tensorrt",
        "precision": precision,
        "model": "model.onnx",
        "frame": dict(vars(graph.frame)),
        "spec": graph.spec.to_dict(),
        "scheme": None,
        "float_baseline": "float32",
        "ranges_sha256": None,
        "graph_sha256": graph.sha256,
        "passes": [],
        "tools": {},
        "licence": "made by the tests",
        "allowed": {"drift_mm": 8.0, "people_lost": 0.02, "people_invented": 0.02},
        "options": options,
        "float_layers": [],
    }
    np.savez(folder.parent / "pose.npz", **graph.decoder)
    files = {
        "model.onnx": (model or graph.model).SerializeToString(),
        "pose.npz": (folder.parent / "pose.npz").read_bytes(),
    }
    return write_bundle(folder, info, files)
