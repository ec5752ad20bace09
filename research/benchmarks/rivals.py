"""Other quantizers, each with the same float network, the same frames, and the settings of its own guide.

None is a dependency of posec; those that are not installed are listed and left out.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from toolkit.ir.graph import Graph
from toolkit.passes import prepare
from toolkit.passes.edit.edits import add_array
from toolkit.passes.edit.graph_index import head_layers, index_graph, weighted_layers
from toolkit.passes.lower.fold_preprocessing import fold_frame
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.preprocess import Batch

Files = dict[str, bytes]
Rival = Callable[[Graph, Sequence[np.ndarray], bytes], Files]
# So small that hardly a sum notices, and large enough for an int32 bias.
_TINY = 1e-5
PIXELS = FrameInput("uint8", "NHWC", "BGR", normalized=False)


def folded(graph: Graph) -> Graph:
    """Return the prepared float network with its normalization inside, as plain arithmetic."""
    prepared = prepare(graph).copy()
    fold_frame(PIXELS, cast=True)(prepared)
    return prepared


def without_dead_channels(graph: Graph) -> Graph:
    """Return the network with a tiny weight in each channel without any, such as pruned ones.

    ai-edge-quantizer scales a channel by its largest weight; if all are zero, the bias overflows.
    """
    mended = prepare(graph).copy()
    found = index_graph(mended.model)
    for node in weighted_layers(mended.model):
        weight = found.array(node.input[1])
        rows = weight.reshape(len(weight), -1)
        dead = np.abs(rows).max(1) < _TINY
        if node.op_type == "Conv" and dead.any():
            node.input[1] = add_array(
                mended.model,
                node.input[1],
                np.where(dead[:, None], np.float32(_TINY), rows).reshape(weight.shape),
            )
    return mended


def batches(graph: Graph, frames: Sequence[np.ndarray], frame: FrameInput) -> list[np.ndarray]:
    """Return what the model is fed for each frame."""
    batch, made = Batch(graph.spec, frame), []
    for picture in frames:
        batch.fill(picture)
        made.append(batch.array.copy())
    return made


def _nncf(fast: bool) -> Rival:
    def quantize(graph: Graph, fed: Sequence[np.ndarray], _float: bytes) -> Files:
        import nncf

        model = nncf.quantize(
            graph.model,
            nncf.Dataset(fed, lambda batch: {graph.input_name: batch}),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(fed),
            fast_bias_correction=fast,
        )
        return {"model.onnx": model.SerializeToString()}

    return quantize


def _onnxruntime(float_heads: bool) -> Rival:
    def quantize(graph: Graph, fed: Sequence[np.ndarray], _float: bytes) -> Files:
        from onnxruntime.quantization import (
            CalibrationDataReader,
            CalibrationMethod,
            QuantFormat,
            QuantType,
            quantize_static,
        )

        class Reader(CalibrationDataReader):
            def __init__(self) -> None:
                self.left = iter(fed)

            def get_next(self) -> dict[str, np.ndarray] | None:
                batch = next(self.left, None)
                return None if batch is None else {graph.input_name: batch}

        left = [name for names in head_layers(graph).values() for name in names] if float_heads else []
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "float.onnx").write_bytes(graph.model.SerializeToString())
            quantize_static(
                f"{folder}/float.onnx",
                f"{folder}/model.onnx",
                Reader(),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                nodes_to_exclude=left,
            )
            return {"model.onnx": (Path(folder) / "model.onnx").read_bytes()}

    return quantize


def _ai_edge_quantizer(float_heads: bool) -> Rival:
    def quantize(_graph: Graph, fed: Sequence[np.ndarray], float_model: bytes) -> Files:
        from ai_edge_quantizer import qtyping, quantizer, recipe

        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "float.tflite").write_bytes(float_model)
            made = quantizer.Quantizer(f"{folder}/float.tflite", recipe.static_wi8_ai8())
            for edge in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
                made.update_quantization_recipe(regex=".*", operation_name=edge, algorithm_key="no_quantize")
            if float_heads:
                last = "|".join(re.escape(name) for name in _last_layers(float_model))
                made.update_quantization_recipe(
                    regex=f".*({last}).*",
                    operation_name=qtyping.TFLOperationName.ALL_SUPPORTED,
                    algorithm_key="no_quantize",
                )
            ranges = made.calibrate({"serving_default": [{"args_0": batch} for batch in fed]})
            return {"model.tflite": bytes(made.quantize(ranges).quantized_model)}

    return quantize


def _last_layers(content: bytes) -> list[str]:
    """Return the tensors from each output of a TFLite file back to its last convolution's, included."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    maker = {int(output): operator for operator in graph.operators for output in operator.outputs}
    names, pending = [], [int(output) for output in graph.outputs]
    while pending:
        tensor = pending.pop()
        if (operator := maker.get(tensor)) is None:
            continue
        names.append(graph.tensors[tensor].name.decode())
        code = model.operatorCodes[operator.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) != schema.BuiltinOperator.CONV_2D:
            pending += [int(source) for source in operator.inputs]
    return names


# Target → (name, packages that it needs, how).
RIVALS: Mapping[str, Sequence[tuple[str, str, Rival]]] = {
    "intel-cpu": (
        ("NNCF, mixed preset", "nncf", _nncf(fast=True)),
        ("NNCF, accurate bias correction", "nncf", _nncf(fast=False)),
    ),
    "generic-cpu": (
        ("ONNX Runtime's quantizer", "onnxruntime", _onnxruntime(float_heads=False)),
        ("ONNX Runtime's quantizer, float heads", "onnxruntime", _onnxruntime(float_heads=True)),
    ),
    "raspberry-pi-5": (
        ("ai-edge-quantizer", "ai-edge-quantizer", _ai_edge_quantizer(float_heads=False)),
        ("ai-edge-quantizer, float heads", "ai-edge-quantizer", _ai_edge_quantizer(float_heads=True)),
    ),
}


def as_bundle(description: Mapping[str, Any], name: str, frame: FrameInput, files: Files) -> dict[str, Any]:
    """Return bundle.json of another quantizer's model, from posec's bundle of the same network."""
    kept = {field: value for field, value in description.items() if field not in ("format", "files")}
    changed: dict[str, Any] = {
        "scheme": name,
        "model": next(iter(files)),
        "frame": asdict(frame),
        "passes": [],
        "float_layers": [],
        "ranges_sha256": None,
    }
    return {**kept, **changed}
