"""A valid file for every reader of files from outside, and the reader."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from networks import spot_picture, tiny_graph_of, tiny_spec, write_checkpoint
from onnx import TensorProto, helper
from tiny_bundles import write_tiny_bundle

from toolkit.errors import PosecError
from toolkit.ir.ranges import Ranges
from toolkit.runtime.bundle import Bundle, read_bundle
from toolkit.runtime.files.bundle_files import sha256_of
from toolkit.runtime.files.pictures import read_picture
from toolkit.runtime.model_files.graph import ModelFileError

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "toolkit" / "samples"


class Reader(NamedTuple):
    """How a reader is tried.

    Attributes:
        write: writes valid files into a folder and returns the one that is changed.
        read: reads that file.
        form: `json` files are also changed value by value.
        error: of the reader; ModelFileError is what `open_engine` turns into an EngineError.
    """

    write: Callable[[Path], Path]
    read: Callable[[Path], Any]
    form: str = "bytes"
    error: type[ValueError] = PosecError


def _bundle(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        return write_tiny_bundle(folder / "bundle").folder / name

    return write


def _read_bundle(path: Path) -> None:
    read_bundle(path.parent).golden()


def _rehashed(folder: Path, name: str) -> Bundle:
    """Return a bundle after writing the hash of a changed file into it, as a bundle's maker can."""
    description = json.loads((folder / "bundle.json").read_text())
    description["files"][name] = sha256_of((folder / name).read_bytes())
    (folder / "bundle.json").write_text(json.dumps(description))
    return read_bundle(folder)


def _read_golden(path: Path) -> None:
    _rehashed(path.parent.parent, "golden/people.json").golden()


def _read_decoder(path: Path) -> None:
    _rehashed(path.parent, "pose.npz").decoder()


def _signature(folder: Path) -> Path:
    from toolkit.cli import main

    bundle = write_tiny_bundle(folder / "bundle").folder
    assert main(["keygen", str(folder / "k")]) == 0
    assert main(["sign", str(bundle), "--key", str(folder / "k.key")]) == 0
    return bundle / "signature.json"


def _read_signature(path: Path) -> None:
    read_bundle(path.parent, path.parent.parent / "k.pub")


def _key(folder: Path) -> Path:
    _signature(folder)
    return folder / "k.pub"


def _read_key(path: Path) -> None:
    read_bundle(path.parent / "bundle", path)


def _stage(folder: Path) -> Path:
    pytest.importorskip("torch")
    from walking_people import random_network

    from toolkit.network.temporal import temporal_arrays

    bundle = write_tiny_bundle(folder / "bundle").folder
    np.savez(bundle / "temporal.npz", **temporal_arrays(random_network(tiny_spec(), channels=4)))
    return bundle / "temporal.npz"


def _open_stage(path: Path) -> None:
    from toolkit.runtime.temporal.bundled import open_stage

    assert open_stage(_rehashed(path.parent, "temporal.npz")) is not None


def _onnx(folder: Path) -> Path:
    (folder / "model.onnx").write_bytes(tiny_graph_of().model.SerializeToString())
    return folder / "model.onnx"


def _small_onnx(folder: Path) -> Path:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])
    weight = helper.make_tensor("w", TensorProto.FLOAT, [3], [1, 2, 3])
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [value], [out], [weight])
    (folder / "small.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    return folder / "small.onnx"


def _load_onnx(path: Path) -> None:
    from toolkit.ir.onnx_constants import load_onnx

    load_onnx(path)


def _check_model(path: Path) -> None:
    from toolkit.runtime.model_files.check import check_model

    check_model(path, path.suffix)


def _tflite(folder: Path) -> Path:
    """Write a model that adds a constant to its input."""
    flatbuffers = pytest.importorskip("flatbuffers")
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    tensors = []
    for name, shape, buffer in (("x", [1, 3], 0), ("w", [1, 3], 1), ("y", [1, 3], 0)):
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer, tensor.type = name, shape, buffer, 0
        tensors.append(tensor)
    add = schema.OperatorT()
    add.inputs, add.outputs, add.opcodeIndex = [0, 1], [2], 0
    add.builtinOptionsType = schema.BuiltinOptions.AddOptions
    add.builtinOptions = schema.AddOptionsT()
    graph, code = schema.SubGraphT(), schema.OperatorCodeT()
    graph.tensors, graph.inputs, graph.outputs, graph.operators = tensors, [0], [2], [add]
    empty, weights = schema.BufferT(), schema.BufferT()
    weights.data = list(np.ones(3, np.float32).tobytes())
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [empty, weights]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    (folder / "model.tflite").write_bytes(bytes(builder.Output()))
    return folder / "model.tflite"


def _picture(suffix: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / f"picture{suffix}"
        path.write_bytes(cv2.imencode(suffix, spot_picture(1, 1, (24, 32)))[1].tobytes())
        return path

    return write


def _read_picture(path: Path) -> None:
    from toolkit.runtime.files.image_header import picture_size

    picture_size(path.read_bytes())
    read_picture(path)


def _listing(folder: Path) -> Path:
    cv2.imwrite(str(folder / "a.png"), spot_picture(1, 1))
    (folder / "list.txt").write_text("# pictures\na.png\na.png\n")
    return folder / "list.txt"


def _read_listing(path: Path) -> None:
    from calibration import listing

    listing(path, tiny_spec())


def _checkpoint(name: str) -> Callable[[Path], Path]:
    return lambda folder: write_checkpoint(folder / "checkpoint") / name


def _read_checkpoint(path: Path) -> None:
    from toolkit.network.checkpoint_files import read_files

    read_files(path.parent)


def _target(folder: Path) -> Path:
    return Path(shutil.copy(ROOT / "targets" / "generic-cpu.toml", folder / "board.toml"))


def _read_target(path: Path) -> None:
    import targets

    targets.load(str(path))


def _calibration(folder: Path) -> Path:
    tensors = {"input": (-1.0, 1.0), "backbone/conv": (0.0, 6.0)}
    found = Ranges(tensors, "min-max", "0" * 64, ("1" * 64,), {"onnx": "1"}, {"input": (0.1, 0.2)})
    found.save(folder / "calibration.json")
    return folder / "calibration.json"


def _read_calibration(path: Path) -> None:
    Ranges.load(path)


def _scenes(folder: Path) -> Path:
    plain = json.loads((SAMPLES / "scenes.json").read_text())[:2]
    (folder / "scenes.json").write_text(json.dumps(plain))
    (folder / "scenes").mkdir()
    for name in ("000.jpg", "001.jpg"):
        shutil.copy(SAMPLES / "scenes" / name, folder / "scenes")
    return folder / "scenes.json"


def _read_scenes(path: Path) -> None:
    from toolkit.evaluation.scene_file import read_scenes

    read_scenes(path)


COCO = {
    "categories": [{"id": 1, "name": "person", "keypoints": ["nose", "left_shoulder", "right_shoulder"]}],
    "images": [{"id": 7, "file_name": "a.png", "width": 160, "height": 120}],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "num_keypoints": 3, "area": 900.0,
         "bbox": [10, 10, 30, 60], "keypoints": [20, 20, 2, 15, 30, 2, 25, 30, 1]},
    ],
}  # fmt: skip


def _coco(folder: Path) -> Path:
    cv2.imwrite(str(folder / "a.png"), spot_picture(1, 1))
    (folder / "coco.json").write_text(json.dumps(COCO))
    return folder / "coco.json"


def _read_coco(path: Path) -> None:
    from toolkit.evaluation.coco import read_photos

    read_photos(path, path.parent)


def _recording(folder: Path) -> Path:
    people = write_tiny_bundle(folder / "bundle").golden()[2][1]
    line = {"schema": 1, "picture": "000000", "seconds": 0.0, "size": [120, 160], **people.to_dict()}
    line["numbers"] = list(range(1, 1 + len(people)))
    later = {**line, "picture": "000001", "seconds": 0.04}
    (folder / "people.jsonl").write_text(json.dumps(line) + "\n" + json.dumps(later) + "\n")
    return folder / "people.jsonl"


def _read_recording(path: Path) -> None:
    from toolkit.convert.bvh import bvh_text
    from toolkit.convert.recording import read_recording
    from toolkit.convert.takes import at_times, constant_rate, read_takes
    from toolkit.runtime.pose import MUPOTS17

    seconds, takes = read_takes(read_recording(path, MUPOTS17))
    times, hz = constant_rate(seconds)
    for take in takes:
        bvh_text(at_times(take, times[:4]), MUPOTS17, hz)


INTRINSICS_YAML = """%YAML:1.0
image_width: 640
image_height: 480
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [500., 0., 320., 0., 500., 240., 0., 0., 1.]
distortion_coefficients: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: [0.1, -0.05, 0.001, 0.001, 0.0]
"""
INTRINSICS_JSON = {
    "image_width": 640,
    "image_height": 480,
    "fx": 500,
    "fy": 500,
    "cx": 320,
    "cy": 240,
    "k1": 0.1,
}


def _intrinsics(name: str, text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text(text)
        return folder / name

    return write


def _read_intrinsics(path: Path) -> None:
    from toolkit.runtime.decoding.camera_file import read_intrinsics

    read_intrinsics(path)((480, 640))


def _result(folder: Path) -> Path:
    from toolkit.cli import main

    bundle = write_tiny_bundle(folder / "bundle").folder
    words = ["bench", bundle, "--seconds", "0.1", "--no-accuracy", "-o", folder / "results"]
    assert main(list(map(str, words))) == 0
    return next((folder / "results").rglob("*.json"))


def _read_result(path: Path) -> None:
    from toolkit.device.result import read_result

    read_result(path)


READERS = {
    "bundle.json": Reader(_bundle("bundle.json"), _read_bundle, "json"),
    "golden people": Reader(_bundle("golden/people.json"), _read_golden, "json"),
    "signature": Reader(_signature, _read_signature, "json"),
    "public key": Reader(_key, _read_key),
    "npz": Reader(_bundle("pose.npz"), _read_decoder),
    "temporal npz": Reader(_stage, _open_stage),
    "onnx": Reader(_onnx, _load_onnx),
    "small onnx": Reader(_small_onnx, _load_onnx),
    "onnx of a bundle": Reader(_small_onnx, _check_model, error=ModelFileError),
    "tflite of a bundle": Reader(_tflite, _check_model, error=ModelFileError),
    **{
        f"picture {suffix}": Reader(_picture(suffix), _read_picture)
        for suffix in (".png", ".jpg", ".webp", ".bmp")
    },
    "listing": Reader(_listing, _read_listing),
    "checkpoint toml": Reader(_checkpoint("spec.toml"), _read_checkpoint),
    "checkpoint safetensors": Reader(_checkpoint("pose.safetensors"), _read_checkpoint),
    "target toml": Reader(_target, _read_target),
    "calibration": Reader(_calibration, _read_calibration, "json"),
    "scenes": Reader(_scenes, _read_scenes, "json"),
    "coco": Reader(_coco, _read_coco, "json"),
    "recording": Reader(_recording, _read_recording),
    "intrinsics yaml": Reader(_intrinsics("camera.yaml", INTRINSICS_YAML), _read_intrinsics),
    "intrinsics json": Reader(
        _intrinsics("camera.json", json.dumps(INTRINSICS_JSON)), _read_intrinsics, "json"
    ),
    "result": Reader(_result, _read_result, "json"),
}
