"""Replace an If on a constant condition by the branch taken."""

from __future__ import annotations

import onnx
from onnx import helper

from ..edit.edits import numbered, replace
from .fold_shapes import constant_array, fold_shapes

_MOST_ROUNDS = 16


def fold_branches(model: onnx.ModelProto) -> int:
    """Fold shapes, replace each If on a constant by its branch, in place; return the number of Ifs replaced.

        c (constant, true) -> If(then: Squeeze(x), else: Identity(x)) -> y      becomes      x -> Squeeze -> y

    The older torch exporter writes such an If for a squeeze, on the size of the axis.

    1. A branch may contain further Ifs; they are folded in the next round.
    2. An If on a condition that is not constant stays.
    """
    count = 0
    for _ in range(_MOST_ROUNDS):
        fold_shapes(model)
        nodes: list[onnx.NodeProto] = []
        folded = 0
        for node in model.graph.node:
            branch = _branch(node, model)
            nodes += [node] if branch is None else _inlined(node, branch, model)
            folded += branch is not None
        if not folded:
            break
        replace(model.graph.node, nodes)
        count += folded
    return count


def _branch(node: onnx.NodeProto, model: onnx.ModelProto) -> onnx.GraphProto | None:
    """Return the branch of an If on a constant, or None for any other node."""
    condition = constant_array(model, node.input[0]) if node.op_type == "If" else None
    if condition is None or condition.size != 1:
        return None
    wanted = "then_branch" if condition.item() else "else_branch"
    return next((attribute.g for attribute in node.attribute if attribute.name == wanted), None)


def _inlined(node: onnx.NodeProto, branch: onnx.GraphProto, model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return a branch's nodes, its outputs copied to those of the If; add its constants to the model."""
    graph = model.graph
    taken = {name for other in graph.node for name in (*other.input, *other.output)}
    taken |= {value.name for value in (*graph.initializer, *graph.input, *graph.output)}
    inner = [tensor.name for tensor in branch.initializer]
    inner += [name for part in branch.node for name in part.output if name]
    names = {name: numbered(name, taken) for name in inner}
    for tensor in branch.initializer:
        graph.initializer.add().CopyFrom(tensor)
        graph.initializer[-1].name = names[tensor.name]
    nodes = []
    for part in branch.node:
        copied = onnx.NodeProto()
        copied.CopyFrom(part)
        for field in (copied.input, copied.output):
            for position, name in enumerate(field):
                field[position] = names.get(name, name)
        nodes.append(copied)
    outputs = [names.get(value.name, value.name) for value in branch.output]
    return nodes + [
        helper.make_node("Identity", [made], [wanted], f"{node.name or wanted}/{position}")
        for position, (made, wanted) in enumerate(zip(outputs, node.output, strict=True))
    ]
