"""Fold preprocessing into the graph: its input becomes the picture as cv2 delivers it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from ...errors import PosecError
from ...ir.graph import Graph, Pass, Stage, requires
from ...runtime.frame import FrameInput
from ..edit.edits import add_array, attribute, remove_dead_nodes, replace_uses
from ..edit.graph_index import GraphIndex, index_graph

_TYPES = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "float32": TensorProto.FLOAT}


def fold_frame(frame: FrameInput, cast: bool = False) -> Pass:
    """Return the pass that changes the input of a prepared graph to `frame`, and normalizes inside the graph.

    Args:
        frame: type, layout, colour order and normalization of the new input.
        cast: convert integers by a Cast as the first node, as TensorRT requires, not by a DequantizeLinear.

    The pass:

        frame float32 NCHW RGB, (x - mean) / std -> Conv(w, b)
        frame uint8 NHWC BGR -> Transpose -> DequantizeLinear(1, mean) -> Conv(w / std, channels swapped; b)

    1. Where the three means differ or are no integers, Cast and Sub(mean) replace the DequantizeLinear.
    2. Padding of the convolutions still equals the mean, so border pixels do not change.
    3. For a reader that is no plain convolution, Mul(1 / std) and Gather(channels) are separate nodes.

    The pass returns 1, or 0 where the input is `frame` already.
    """

    @requires(Stage.PREPARED)
    def fold_frame(graph: Graph) -> int:
        if graph.frame == frame:
            return 0
        if (graph.frame.dtype, graph.frame.layout, graph.frame.normalized) != ("float32", "NCHW", True):
            raise PosecError(
                f"preprocessing is folded already, the input is {graph.frame}; start from the prepared graph"
            )
        _fold(graph, frame, cast)
        return 1

    return fold_frame


def _fold(graph: Graph, frame: FrameInput, cast: bool) -> None:
    model, graph_index = graph.model, index_graph(graph.model)
    swap = frame.colour_order != graph.frame.colour_order
    scale = np.ones(3) if frame.normalized else 1 / np.asarray(graph.spec.std)
    zero = np.asarray(graph.spec.mean) - (128 if frame.dtype == "int8" else 0)
    if graph.frame.colour_order != graph.spec.colour_order:
        scale, zero = scale[::-1], zero[::-1]
    readers = [node for node in model.graph.node if graph.input_name in node.input]
    chain = _Chain(model, graph.input_name)
    dequantize = frame.dtype != "float32" and not cast and len(set(zero)) == 1 and float(zero[0]).is_integer()
    if cast and frame.dtype != "float32":
        chain.add("Cast", to=TensorProto.FLOAT)
    if frame.layout == "NHWC":
        chain.add("Transpose", perm=[0, 3, 1, 2])
    if dequantize:
        chain.add("DequantizeLinear", np.asarray(1, np.float32), np.asarray(zero[0], frame.dtype))
    elif frame.dtype != "float32" and not cast:
        chain.add("Cast", to=TensorProto.FLOAT)
    if not frame.normalized and not dequantize and zero.any():
        # Channels are still in the order of `frame`: they are swapped later.
        chain.add("Sub", (zero[::-1] if swap else zero).astype(np.float32).reshape(1, 3, 1, 1))
    if all(_is_plain(node, graph.input_name, graph_index) for node in readers):
        for conv in readers:
            weight = graph_index.array(conv.input[1])
            folded = (weight * scale.reshape(1, 3, 1, 1)).astype(weight.dtype)
            conv.input[1] = add_array(model, conv.input[1], folded[:, ::-1] if swap else folded)
    else:
        if swap:
            chain.add("Gather", np.asarray([2, 1, 0], np.int64), axis=1)
        if not np.all(scale == 1):
            chain.add("Mul", scale.astype(np.float32).reshape(1, 3, 1, 1))
    chain.close()
    batch = model.graph.input[0].type.tensor_type
    batch.elem_type = _TYPES[frame.dtype]
    sizes = (1, *graph.spec.input_size, 3) if frame.layout == "NHWC" else (1, 3, *graph.spec.input_size)
    for dimension, size in zip(batch.shape.dim, sizes, strict=True):
        dimension.dim_value = size
    remove_dead_nodes(model)
    graph.frame = frame


def _is_plain(node: onnx.NodeProto, batch: str, graph_index: GraphIndex) -> bool:
    single = list(node.input).count(batch) == 1 and node.input[0] == batch
    return (
        single
        and node.op_type == "Conv"
        and attribute(node, "group", 1) == 1
        and node.input[1] in graph_index.constants
    )


class _Chain:
    """A chain of new nodes between the input and its readers."""

    def __init__(self, model: onnx.ModelProto, batch: str) -> None:
        self._model, self._batch, self._end = model, batch, batch
        self._nodes: list[onnx.NodeProto] = []

    def add(self, operator: str, *constants: np.ndarray, **attributes: object) -> None:
        """Append a node that reads the end of the chain, and constants."""
        name = f"{self._batch}.{operator}"
        names = [
            add_array(self._model, f"{name}.constant_{position}", values)
            for position, values in enumerate(constants, 1)
        ]
        self._nodes.append(helper.make_node(operator, [self._end, *names], [name], name, **attributes))
        self._end = name

    def close(self) -> None:
        """Connect the readers of the input to the end of the chain, and insert the nodes."""
        replace_uses(self._model, self._batch, self._end)
        for node in reversed(self._nodes):
            self._model.graph.node.insert(0, node)
