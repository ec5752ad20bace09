"""Insert QuantizeLinear and DequantizeLinear nodes, which every runtime reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import onnx

from ...ir.graph import Graph, Stage, requires
from ...ir.scheme import Scheme
from ..edit.graph_index import FUSED_ACTIVATIONS, WEIGHT_AXIS, GraphIndex, index_graph, layer_name
from .assign_qparams import Pair, assign_qparams, given_qparams
from .float_layers import float_head_layers, stays_float
from .qdq_writer import QDQWriter


@requires(Stage.PREPARED)
def insert_qdq(
    graph: Graph, ranges: Mapping[str, Pair], scheme: Scheme, *, keep_float: Collection[str] = ()
) -> int:
    """Surround the operators of a scheme by Q/DQ; return the number of operators that compute in integers.

        x -> Conv(w, b) -> Relu -> y
        x -> Q -> DQ -> Conv(DQ(int8 w), DQ(int32 b)) -> Relu -> Q -> DQ -> y

    No Q/DQ separates an operator from the Relu or Clip that is its only reader: integer kernels fuse them.
    A tensor of integers, such as a folded uint8 frame, is not quantized again.

    Args:
        graph: the prepared float graph; changed in place, its stage becomes QUANTIZED.
        ranges: tensor name → (low, high).
        scheme: of the back end.
        keep_float: names of layers, see `edit.graph_index.layer_name`, to leave float.

    Raises PosecError for a graph that is not prepared, an unknown name in `keep_float`, or a missing range.
    """
    reasons, graph_index = stays_float(graph, scheme, keep_float), index_graph(graph.model)
    operators = {
        layer_name(node): node
        for node in _operators(graph.model, scheme, graph_index)
        if layer_name(node) not in reasons
    }
    reads = {
        (name, i)
        for name, node in operators.items()
        for i in graph_index.data_inputs(node)
        if not _fused_operand(node, i, scheme=scheme, graph_index=graph_index)
    }
    heads, results = float_head_layers(graph, scheme), set()
    if scheme.activations.quantize_results:
        results = {graph_index.result(node) for name, node in operators.items() if name not in heads}
    candidates = results | {operators[layer].input[i] for layer, i in reads}
    tensors = {name for name in candidates if given_qparams(name, graph_index) is None}
    qparams = assign_qparams(graph, tensors, list(operators.values()), ranges=ranges, scheme=scheme)
    writer = QDQWriter(scheme, graph_index, qparams)
    for name in (value.name for value in graph.model.graph.input if value.name in tensors):
        writer.quantize(name, name)
    for node in graph.model.graph.node:
        layer = layer_name(node)
        for i, name in enumerate(node.input):
            if name in tensors and (name in results or (layer, i) in reads):
                node.input[i] = writer.dequantized(name)
        if layer in operators and node.op_type in WEIGHT_AXIS:
            writer.quantize_constants(node)
        writer.nodes.append(node)
        for i, name in enumerate(node.output):
            if name in tensors:
                source = f"{name}/float" if name in graph_index.outputs else name
                node.output[i] = writer.quantize(name, source)
    writer.write(graph.model)
    graph.stage = Stage.QUANTIZED
    return len(operators)


def _operators(model: onnx.ModelProto, scheme: Scheme, graph_index: GraphIndex) -> list[onnx.NodeProto]:
    """Return the nodes of the scheme's types, without fused activations and nodes that only move integers."""

    def fused(node: onnx.NodeProto) -> bool:
        maker = graph_index.producers.get(node.input[0])
        if maker is None or node.op_type not in FUSED_ACTIVATIONS or maker.op_type in FUSED_ACTIVATIONS:
            return False
        return maker.op_type in scheme.operators and graph_index.result(maker) == node.output[0]

    def moves_integers(node: onnx.NodeProto) -> bool:
        readers = graph_index.readers.get(node.output[0], [])
        return any(reader.op_type == "DequantizeLinear" for reader in readers)

    return [
        node
        for node in model.graph.node
        if node.op_type in scheme.operators and not fused(node) and not moves_integers(node)
    ]


def _fused_operand(node: onnx.NodeProto, position: int, *, scheme: Scheme, graph_index: GraphIndex) -> bool:
    """Return whether an Add takes this operand from a convolution that the runtime fuses it with."""
    if not scheme.exceptions.fused_residual or node.op_type != "Add":
        return False
    makers = {i: graph_index.producers.get(name) for i, name in enumerate(node.input)}
    fused = [
        i
        for i, maker in makers.items()
        if maker is not None and maker.op_type in WEIGHT_AXIS and len(graph_index.readers[node.input[i]]) == 1
    ]
    return bool(fused) and position == fused[0]
