"""Small networks about one operator, with all heads, for the TFLite back end's tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from networks import CHANNELS, tiny_decoder, tiny_spec
from onnx import TensorProto, helper, numpy_helper

from toolkit.ir.graph import Graph, Stage
from toolkit.runtime.frame import FrameInput
from toolkit.runtime.pose import PoseSpec

WIDTH = 4


def network_about(
    nodes: Sequence[onnx.NodeProto],
    arrays: Mapping[str, np.ndarray],
    spec: PoseSpec | None = None,
    seed: int = 0,
    *,
    stage: Stage = Stage.TRACED,
) -> Graph:
    """Return a graph: frame (1, 3, 64, 96) → Conv → `before` (1, 4, 8, 12) → nodes → `after` → heads."""
    spec, random = spec or tiny_spec(), np.random.default_rng(seed)
    constants = {
        "stem.weight": random.normal(0, 0.1, (WIDTH, 3, 8, 8)),
        "stem.bias": random.normal(0, 0.1, WIDTH),
    }
    for name, count in CHANNELS.items():
        constants[f"{name}.weight"] = random.normal(0, 0.5, (count, WIDTH, 1, 1))
    stem = helper.make_node("Conv", ["frame", "stem.weight", "stem.bias"], ["before"], "stem", strides=[8, 8])
    heads = []
    for name in CHANNELS:
        heads.append(helper.make_node("Conv", ["after", f"{name}.weight"], [f"{name}.raw"], name))
        heads.append(
            helper.make_node(
                "Sigmoid" if name == "centre" else "Tanh", [f"{name}.raw"], [name], f"{name}.activation"
            )
        )
    initializers = [
        numpy_helper.from_array(values.astype(np.float32), name) for name, values in constants.items()
    ]
    initializers += [numpy_helper.from_array(values, name) for name, values in arrays.items()]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, count, *spec.map_size])
        for name, count in CHANNELS.items()
    ]
    frame = helper.make_tensor_value_info("frame", TensorProto.FLOAT, [1, 3, *spec.input_size])
    graph = helper.make_graph([stem, *nodes, *heads], "about", [frame], outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    frame_input = FrameInput(colour_order=spec.colour_order)
    return Graph(model, spec, frame_input, tiny_decoder(), "made by the tests", stage=stage)


def node(kind: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    """Return a node named by its operator; `inputs` are separated by spaces, `-` is none."""
    return helper.make_node(
        kind, ["" if name == "-" else name for name in inputs.split()], [output], kind, **attributes
    )
