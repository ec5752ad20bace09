"""Bundles of the tests' tiny network, in ONNX Runtime, sound or with one head spoiled."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from networks import spot_picture, tiny_graph_of
from onnx import numpy_helper

from toolkit.ir.float_engine import float_estimator
from toolkit.ir.graph import Graph
from toolkit.runtime.bundle import Bundle, write_bundle

ALLOWED = {"drift_mm": 8.0, "people_lost": 0.01, "people_invented": 0.01}


def spoiled(graph: Graph, head: str, noise: float, seed: int = 0) -> Graph:
    """Return a copy with normal noise of scale `noise` on the bias of the convolution before `head`."""
    graph = graph.copy()
    nodes, tensor = {output: node for node in graph.model.graph.node for output in node.output}, head
    while nodes[tensor].op_type != "Conv":
        tensor = nodes[tensor].input[0]
    weight = next(array for array in graph.model.graph.initializer if array.name == nodes[tensor].input[1])
    values = numpy_helper.to_array(weight)
    moved = values + noise * np.random.default_rng(seed).normal(size=values.shape).astype(np.float32)
    weight.CopyFrom(numpy_helper.from_array(moved, weight.name))
    return graph


def write_tiny_bundle(
    folder: Path, graph: Graph | None = None, pictures: Sequence[np.ndarray] | None = None, **info: Any
) -> Bundle:
    """Write a bundle of `graph` with golden people of the intact tiny network; `info` changes bundle.json."""
    sound, graph = tiny_graph_of(), graph or tiny_graph_of()
    pictures = [spot_picture(people, seed=people) for people in range(5)] if pictures is None else pictures
    arrays = io.BytesIO()
    np.savez(arrays, **graph.decoder)
    files = {"model.onnx": graph.model.SerializeToString(), "pose.npz": arrays.getvalue()}
    if len(pictures):
        float_people = float_estimator(sound, threads=1)
        files["golden/people.json"] = json.dumps(
            [float_people(picture).to_dict() for picture in pictures]
        ).encode()
        files.update(
            {
                f"golden/{number:03d}.png": cv2.imencode(".png", picture)[1].tobytes()
                for number, picture in enumerate(pictures)
            }
        )
    plain: Mapping[str, Any] = {
        "posec": "0.1.0",
        "name": graph.spec.name,
        "target": "generic-cpu",
        "backend": "onnxruntime",
        "engine": "onnxruntime",
        "precision": "float32",
        "model": "model.onnx",
        "frame": vars(graph.frame),
        "spec": graph.spec.to_dict(),
        "scheme": None,
        "float_baseline": "float32",
        "ranges_sha256": None,
        "graph_sha256": sound.sha256,
        "passes": [["simplify", 3]],
        "tools": {"onnx": "1"},
        "licence": "made by the tests",
        "allowed": ALLOWED,
        "options": {"threads": 1},
        "float_layers": [],
        **info,
    }
    return write_bundle(folder, plain, files)
