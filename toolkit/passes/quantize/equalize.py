"""Equalize the channels between two convolutions, for one scale to fit all of them."""

from __future__ import annotations

import numpy as np
import onnx

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import add_array, attribute, remove_dead_nodes
from ..edit.graph_index import GraphIndex, index_graph
from .qparams import are_integers

# f(s x) = s f(x) for s > 0.
_HOMOGENEOUS = ("Relu", "LeakyRelu")
_MAX_ROUNDS = 50
_DEAD = 1e-9
# Spread of log2(s) over the channels of a pair below which equalization gains nothing.
_SMALLEST_SPREAD = 2.5


@requires(Stage.TRACED)
def equalize_convs(graph: Graph) -> int:
    """Scale each channel between two convolutions to give the weights before and after it equal magnitude.

        x -> Conv(w, b) -> Relu -> Conv(v) -> y
        x -> Conv(s w, s b) -> Relu -> Conv(v / s) -> y        s = sqrt(max|v| / max|w|), per channel

    Nagel et al., "Data-free quantization through weight equalization and bias correction", ICCV 2019.

    1. Between the two there is a Relu, a LeakyRelu or nothing; a ReLU6 does not scale.
    2. Both have constant weights. The results of the first and of the activation have one reader, no head.
    3. The second one has one group, or one group per channel.
    4. Pairs with s within a factor of six over all channels stay as they are.
    5. Pairs of quantized weights, multiples of one step per channel, stay as they are. Scaling would round
       them again, and quantization-aware training may have equalized the maps.
    6. s is a power of two: the float network computes the same bits. Pairs that share a convolution are
       repeated until nothing changes.

    Returns the number of pairs changed.
    """
    changed: set[str] = set()
    for _ in range(_MAX_ROUNDS):
        graph_index, moved = index_graph(graph.model), False
        for first in [node for node in graph.model.graph.node if node.op_type == "Conv"]:
            second = _second(first, graph_index)
            if second is not None and _balance(
                graph.model, first, second, graph_index=index_graph(graph.model)
            ):
                changed.add(first.output[0])
                moved = True
        if not moved:
            break
    remove_dead_nodes(graph.model)
    return len(changed)


def _second(first: onnx.NodeProto, graph_index: GraphIndex) -> onnx.NodeProto | None:
    """Return the convolution that alone reads `first`, through an activation that scales, or None."""
    reader = _only_reader(first.output[0], graph_index)
    if reader is not None and reader.op_type in _HOMOGENEOUS:
        reader = _only_reader(reader.output[0], graph_index)
    if reader is None or reader.op_type != "Conv":
        return None
    constant = all(name in graph_index.constants for name in (*first.input[1:], reader.input[1]))
    if not constant or reader.input[0] in graph_index.constants:
        return None
    weight = graph_index.constants[reader.input[1]]
    return (
        reader
        if attribute(reader, "group", 1) == 1 or tuple(weight.dims[:2]) == (attribute(reader, "group", 1), 1)
        else None
    )


def _only_reader(tensor: str, graph_index: GraphIndex) -> onnx.NodeProto | None:
    readers = graph_index.readers.get(tensor, [])
    return readers[0] if len(readers) == 1 and tensor not in graph_index.outputs else None


def _balance(
    model: onnx.ModelProto, first: onnx.NodeProto, second: onnx.NodeProto, *, graph_index: GraphIndex
) -> bool:
    """Scale the channels between two convolutions; return whether any had to be."""
    weight, following = graph_index.array(first.input[1]), graph_index.array(second.input[1])
    if are_integers(weight, 0) and are_integers(following, 0):
        return False
    channel = 1 if attribute(second, "group", 1) == 1 else 0
    made = np.abs(weight).max(axis=(1, 2, 3))
    read = np.abs(following).max(axis=(1 - channel, 2, 3))
    alive = (made > _DEAD) & (read > _DEAD)
    exponent = np.zeros(len(made), np.float32)
    exponent[alive] = np.log2(read[alive] / made[alive]) / 2
    if not alive.any() or np.ptp(exponent[alive]) < _SMALLEST_SPREAD:
        return False
    scale = np.exp2(np.rint(exponent))
    first.input[1] = add_array(model, first.input[1], weight * scale.reshape(-1, 1, 1, 1))
    if len(first.input) > 2:
        first.input[2] = add_array(model, first.input[2], graph_index.array(first.input[2]) * scale)
    second.input[1] = add_array(
        model, second.input[1], following / scale.reshape((1, -1, 1, 1) if channel else (-1, 1, 1, 1))
    )
    return True
