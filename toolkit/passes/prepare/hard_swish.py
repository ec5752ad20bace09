"""Decompose HardSwish into operators of opset 13."""

from __future__ import annotations

from onnx import helper

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import fresh_name


@requires(Stage.TRACED)
def decompose_hard_swish(graph: Graph) -> int:
    """Decompose each HardSwish, the activation of MobileNetV3, by its definition.

        x -> HardSwish -> y        becomes        x -> HardSigmoid(1/6, 1/2) -> s;  Mul(x, s) -> y

    Returns the number of nodes replaced.
    """
    model, count = graph.model, 0
    for node in [node for node in model.graph.node if node.op_type == "HardSwish"]:
        gate = fresh_name(model, f"{node.output[0]}.gate")
        place = list(model.graph.node).index(node)
        name, source, result = node.name, node.input[0], node.output[0]
        model.graph.node.remove(node)
        gates = helper.make_node(
            "HardSigmoid", [source], [gate], f"{name}.gate" if name else "", alpha=1 / 6, beta=0.5
        )
        model.graph.node.insert(place, helper.make_node("Mul", [source, gate], [result], name))
        model.graph.node.insert(place, gates)
        count += 1
    return count
