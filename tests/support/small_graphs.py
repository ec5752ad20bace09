"""Small graphs of a few nodes, their ranges and their results, for tests of quantization."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from networks import tiny_spec
from onnx import TensorProto, helper, numpy_helper
from schemes import UINT8

from toolkit.ir.graph import Graph, Stage
from toolkit.runtime.engines.onnxruntime import cpu_options
from toolkit.runtime.frame import FrameInput

AFFINE = replace(
    UINT8,
    operators=("Conv", "Add", "AveragePool", "Resize", "Concat"),
    activations=replace(UINT8.activations, same_scale=("Resize", "Concat")),
)


def run(model: onnx.ModelProto, frame: np.ndarray) -> dict[str, np.ndarray]:
    """Return a model's outputs by name, computed by ONNX Runtime."""
    import onnxruntime  # here, so that a test without an engine can import this module

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), cpu_options(onnxruntime), providers=["CPUExecutionProvider"]
    )
    return dict(
        zip(
            [o.name for o in session.get_outputs()],
            session.run(None, {session.get_inputs()[0].name: frame}),
            strict=True,
        )
    )


def observed(model: onnx.ModelProto, frames: list[np.ndarray]) -> dict[str, tuple[float, float]]:
    """Return (low, high) of every tensor of a float model."""
    every = onnx.ModelProto.FromString(model.SerializeToString())
    named = {value.name for value in every.graph.output}
    every.graph.output.extend(
        helper.make_empty_tensor_value_info(n)
        for node in every.graph.node
        for n in node.output
        if n not in named
    )
    values = [{**run(every, frame), every.graph.input[0].name: frame} for frame in frames]
    return {
        name: (min(float(v[name].min()) for v in values), max(float(v[name].max()) for v in values))
        for name in values[0]
    }


def convolution(
    name: str, source: str, weight: np.ndarray, bias: np.ndarray | None = None, **attributes: object
) -> tuple[list, list]:
    arrays = [numpy_helper.from_array(weight.astype(np.float32), f"{name}.w")]
    arrays += [] if bias is None else [numpy_helper.from_array(bias.astype(np.float32), f"{name}.b")]
    return [
        helper.make_node("Conv", [source, *(a.name for a in arrays)], [f"{name}.y"], name, **attributes)
    ], arrays


def small_graph(
    nodes: list,
    arrays: list,
    output: str,
    shape: list[int],
    *,
    dtype: int = TensorProto.FLOAT,
    input_shape: tuple[int, ...] = (1, 3, 8, 8),
) -> Graph:
    """Return nodes as a prepared Graph without the heads that a pose network has."""
    spec = tiny_spec()
    frame = helper.make_tensor_value_info("frame", dtype, list(input_shape))
    graph = helper.make_graph(
        nodes, "small", [frame], [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)], arrays
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return Graph(model, spec, FrameInput(), {}, stage=Stage.PREPARED)


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]
