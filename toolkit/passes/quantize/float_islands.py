"""Float islands: parts of an int8 graph in float, between a DequantizeLinear and a QuantizeLinear."""

from __future__ import annotations

from collections.abc import Collection

import onnx

from ...errors import PosecError
from ...ir.graph import Graph, Pass, Stage, requires
from ..edit.graph_index import (
    FUSED_ACTIVATIONS,
    WEIGHT_AXIS,
    GraphIndex,
    head_layers,
    index_graph,
    layer_name,
)

_BRIDGES = ("QuantizeLinear", "DequantizeLinear")
# These only move values: integers, in front of a DequantizeLinear.
_MOVES = ("Transpose",)
# Integer kernels of these take two maps, and no constant.
_PAIRS = ("Add", "Mul", "Concat")


def check_float_islands(operators: Collection[str]) -> Pass:
    """Return the pass that counts the float islands of a graph with Q/DQ, and refuses unexpected ones.

    Args:
        operators: types that compute in integers between DequantizeLinear and QuantizeLinear.

    The pass changes nothing:

    1. An island is expected that ends in a head, or has a layer with float weights, made by `keep_float`.
    2. Any other is refused: converting to float and back costs more than the operator.

    A graph without Q/DQ has no islands. Raises PosecError naming the layers of an unexpected island.
    """

    @requires(Stage.PREPARED, Stage.QUANTIZED)
    def check_float_islands(graph: Graph) -> int:
        if not any(node.op_type in _BRIDGES for node in graph.model.graph.node):
            return 0
        islands = float_islands(graph.model, operators)
        _refuse(graph, islands)
        return len(islands)

    return check_float_islands


def _refuse(graph: Graph, islands: list[list[onnx.NodeProto]]) -> None:
    graph_index = index_graph(graph.model)
    expected = {name for names in head_layers(graph).values() for name in names}
    for island in islands:
        weighted = any(node.op_type in WEIGHT_AXIS for node in island)
        if not weighted and expected.isdisjoint(layer_name(node) for node in island):
            names = ", ".join(f"'{layer_name(node)}' ({node.op_type})" for node in island)
            before = _weighted_before(island[0], graph_index)
            raise PosecError(
                f"int8 would leave {names} in float, between integer layers; "
                f"export another precision, change the network, or accept it: --keep-float {before}"
            )


def float_islands(model: onnx.ModelProto, operators: Collection[str]) -> list[list[onnx.NodeProto]]:
    """Return the connected groups of nodes that compute in float, in the order of the model."""
    graph_index, nodes = index_graph(model), list(model.graph.node)
    made_by = {name: index for index, node in enumerate(nodes) for name in node.output}
    groups: dict[int, list[int]] = {}
    for index, node in enumerate(nodes):
        if node.op_type in _BRIDGES or node.op_type == "Constant" or _moves_integers(node, graph_index):
            continue
        groups[index] = [index]
        for name in node.input:
            before, mine = groups.get(made_by.get(name, -1)), groups[index]
            if before is not None and before is not mine:
                before += mine
                groups.update(dict.fromkeys(mine, before))
    together = sorted({id(group): sorted(group) for group in groups.values()}.values())
    islands = [[nodes[index] for index in group] for group in together]
    return [island for island in islands if not _is_integer(island, operators, graph_index)]


def _moves_integers(node: onnx.NodeProto, graph_index: GraphIndex) -> bool:
    readers = graph_index.readers.get(node.output[0], [])
    return (
        node.op_type in _MOVES
        and bool(readers)
        and all(reader.op_type == "DequantizeLinear" for reader in readers)
    )


def _is_integer(group: list[onnx.NodeProto], operators: Collection[str], graph_index: GraphIndex) -> bool:
    """Return whether a group is one operator between DQ and Q, with its fused activation."""
    first, *rest = group
    if (
        first.op_type not in operators
        or len(rest) > 1
        or any(node.op_type not in FUSED_ACTIVATIONS for node in rest)
    ):
        return False
    reads = [first.input[position] for position in graph_index.data_inputs(first)]
    if first.op_type in (*WEIGHT_AXIS, *_PAIRS) and first.input[1] not in reads:
        return False
    dequantized = all(
        name in graph_index.producers and graph_index.producers[name].op_type == "DequantizeLinear"
        for name in reads
    )
    readers = graph_index.readers.get(group[-1].output[0], [])
    return dequantized and bool(readers) and all(reader.op_type == "QuantizeLinear" for reader in readers)


def _weighted_before(node: onnx.NodeProto, graph_index: GraphIndex) -> str:
    """Return the name of the nearest layer with weights upstream of a node."""
    while node.op_type not in WEIGHT_AXIS and any(name in graph_index.producers for name in node.input):
        node = next(graph_index.producers[name] for name in node.input if name in graph_index.producers)
    return layer_name(node)
