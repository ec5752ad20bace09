"""TFLite files in bundles that would hang or fill the memory of a board: `posec run` refuses them first."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from networks import spot_picture
from processes import posec

pytest.importorskip("litert_torch")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

from targets._litert.flatbuffer import read_model, write_model  # noqa: E402
from toolkit.runtime.model_files.check import check_content  # noqa: E402
from toolkit.runtime.model_files.graph import ModelFileError  # noqa: E402

pytestmark = pytest.mark.tflite
OPERATORS, OPTIONS = schema.BuiltinOperator, schema.BuiltinOptions


class File:
    """A TFLite file to which operators are added; the library runs every operator of a file."""

    def __init__(self, content: bytes) -> None:
        self.model = read_model(content)
        self.graph = self.model.subgraphs[0]

    def tensor(self, shape: tuple[int, ...], values: np.ndarray | None = None, kind: str = "FLOAT32") -> int:
        """Add a tensor, a constant where there are values, and return its number."""
        tensor = schema.TensorT()
        tensor.shape, tensor.hasRank, tensor.type = (
            np.array(shape, np.int32),
            True,
            getattr(schema.TensorType, kind),
        )
        tensor.name, tensor.buffer = f"added{len(self.graph.tensors)}".encode(), 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(values.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def add(self, name: str, inputs: list[int], outputs: list[int], options: Any = None) -> None:
        """Add an operator before all others."""
        code = schema.OperatorCodeT()
        code.builtinCode, code.version = getattr(OPERATORS, name), 1
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.customCode = b"Own" if name == "CUSTOM" else None
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array(outputs, np.int32)
        if options is not None:
            operator.builtinOptionsType = getattr(OPTIONS, type(options).__name__[:-1])
            operator.builtinOptions = options
        self.graph.operators.insert(0, operator)

    def whole(self, sizes: list[int]) -> int:
        """Add a constant of sizes and return its number."""
        return self.tensor((len(sizes),), np.array(sizes, np.int32), "INT32")

    @property
    def content(self) -> bytes:
        return write_model(self.model)


def looping(file: File) -> None:
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    for kind in ("BOOL", "FLOAT32"):  # the condition is a constant, the body an identity
        graph = schema.SubGraphT()
        number, result = schema.TensorT(), schema.TensorT()
        for tensor, name, of in ((number, b"number", "FLOAT32"), (result, b"result", kind)):
            tensor.shape, tensor.type, tensor.name = (
                np.array([1], np.int32),
                getattr(schema.TensorType, of),
                name,
            )
            tensor.buffer = 0
        buffer = schema.BufferT()
        buffer.data = np.array([1], np.uint8)
        file.model.buffers.append(buffer)
        if kind == "BOOL":
            result.buffer = len(file.model.buffers) - 1
        graph.tensors, graph.inputs, graph.operators = [number, result], np.array([0], np.int32), []
        graph.outputs = np.array([1 if kind == "BOOL" else 0], np.int32)
        file.model.subgraphs.append(graph)
    file.add("WHILE", [file.tensor((1,), np.ones(1, np.float32))], [file.tensor((1,))], options)


def calling(name: str, options: Any) -> Any:
    def change(file: File) -> None:
        file.add(name, [file.tensor((1,), np.ones(1, np.float32))], [file.tensor((1,))], options)

    return change


def growing(name: str, constant: list[int], start: tuple[int, ...] = (1,)) -> Any:
    """Return a change that adds an operator whose result is far larger than the file states."""

    def change(file: File) -> None:
        first = file.tensor(start, np.ones(start, np.float32))
        file.add(name, [first, file.whole(constant)], [file.tensor((1,))])

    return change


def doubling(file: File) -> None:
    last = file.tensor((1,), np.ones(1, np.float32))
    chain = []
    for _ in range(40):
        after = file.tensor((1,))
        chain.append((last, after))
        last = after
    for before, after in reversed(chain):
        options = schema.ConcatenationOptionsT()
        file.add("CONCATENATION", [before, before], [after], options)


HOSTILE = {
    "WHILE": (looping, "3 graphs"),
    "WHILE on itself": (calling("WHILE", schema.WhileOptionsT()), "TFLite's operator 119"),
    "IF": (calling("IF", schema.IfOptionsT()), "TFLite's operator 118"),
    "CALL": (calling("CALL", schema.CallOptionsT()), "TFLite's operator 31"),
    "CALL_ONCE": (calling("CALL_ONCE", schema.CallOnceOptionsT()), "TFLite's operator 129"),
    "CUSTOM": (calling("CUSTOM", None), "TFLite's operator 32"),
    "STABLEHLO_WHILE": (calling("STABLEHLO_WHILE", None), "TFLite's operator 200"),
    "FILL": (growing("FILL", [2**30]), "TFLite's operator 94"),
    "RANGE": (growing("RANGE", [2**30]), "TFLite's operator 96"),
    "TILE": (growing("TILE", [2**30]), "numbers of memory at TILE"),
    "BROADCAST_TO": (growing("BROADCAST_TO", [2**30]), "numbers of memory at BROADCAST_TO"),
    "PAD": (growing("PAD", [0, 2**30]), "numbers of memory at PAD"),
    "RESIZE_BILINEAR": (
        growing("RESIZE_BILINEAR", [2**15, 2**15], (1, 2, 2, 1)),
        "numbers of memory at RESIZE_BILINEAR",
    ),
    "CONCATENATION": (doubling, "numbers of memory at CONCATENATION"),
}


def with_model(bundle: Path, folder: Path, content: bytes) -> Path:
    """Return a copy of a bundle with another model, whose hash it states."""
    shutil.copytree(bundle, folder)
    (folder / "model.tflite").write_bytes(content)
    description = json.loads((folder / "bundle.json").read_text())
    description["files"]["model.tflite"] = hashlib.sha256(content).hexdigest()
    (folder / "bundle.json").write_text(json.dumps(description))
    return folder


def test_files_of_exports_are_accepted_and_edited_files_run(bundles, tmp_path):
    for bundle in bundles.values():
        check_content(bundle.model_path.read_bytes(), ".tflite")
    file = File(bundles["float32"].model_path.read_bytes())
    growing("TILE", [1])(file)
    cv2.imwrite(str(tmp_path / "picture.png"), spot_picture(2, seed=2))
    same = with_model(bundles["float32"].folder, tmp_path / "same", file.content)
    done = posec("run", same, "--source", tmp_path / "picture.png")
    assert done.returncode == 0, done.stderr
    assert "people on 1" in done.stderr


@pytest.mark.parametrize("name", HOSTILE)
def test_a_tflite_file_that_would_hang_or_fill_the_memory_is_refused_by_run(name, bundles, tmp_path):
    change, reason = HOSTILE[name]
    file = File(bundles["float32"].model_path.read_bytes())
    change(file)
    bundle = with_model(bundles["float32"].folder, tmp_path / "hostile", file.content)
    cv2.imwrite(str(tmp_path / "picture.png"), spot_picture(2, seed=2))
    done = posec("run", bundle, "--source", tmp_path / "picture.png", timeout=60)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert reason in done.stderr
    assert "export the bundle again" in done.stderr


def test_damaged_files_are_refused(bundles):
    content = bundles["int8"].model_path.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for place in random.integers(0, len(content), 20):
            damaged[place] = random.integers(0, 256)
        try:
            check_content(bytes(damaged), ".tflite")
        except ModelFileError:
            refused += 1
    for length in range(0, len(content), 997):
        with pytest.raises(ModelFileError):
            check_content(content[:length], ".tflite")
    assert refused > 30
