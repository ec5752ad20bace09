"""Bounds on the tensors and the arithmetic of a model, from its shapes, before an engine opens it."""

from __future__ import annotations

from typing import Dict, List, Mapping

from .graph import ModelFileError, ModelGraph, Node, Shape
from .inputs import NodeInputs, Rule, volume
from .operations import operations_of

MOST_NODES = 20_000
# Numbers in one tensor: a batch of 4096 x 4096 pixels in 16 channels.
MOST_ELEMENTS = 2**28
# Numbers of all tensors together; they are not all alive at once.
MOST_NUMBERS = 2**30
# Numbers computed from constants, beyond those in the file: engines compute them when they open it.
MOST_CONSTANT = 2**26
# Multiplications and additions for one picture.
MOST_OPERATIONS = 2**40


def check_bounds(graph: ModelGraph, rules: Mapping[str, Rule]) -> Dict[str, Shape]:
    """Return the shape of every tensor.

    Raises ModelFileError for an operator without a rule, for a shape that is not fixed, and beyond the
    bounds.
    """
    if len(graph.nodes) > MOST_NODES:
        raise ModelFileError(f"has {len(graph.nodes)} nodes, a bundle's have up to {MOST_NODES}")
    shapes = {**graph.constants, **graph.inputs}
    constants = set(graph.constants)
    numbers = computed = operations = 0
    stored = sum(map(volume, graph.constants.values()))
    for node in graph.nodes:
        found = _shapes_of(node, shapes, graph, rules)
        size = sum(map(volume, found))
        numbers += size
        if all(name in constants for name in node.inputs if name):
            constants.update(node.outputs)
            computed += size
        operations += operations_of(node, size, [shapes.get(name, ()) for name in node.inputs])
        if (
            max(size, numbers - MOST_NUMBERS + MOST_ELEMENTS) > MOST_ELEMENTS
            or computed > MOST_CONSTANT + 2 * stored
        ):
            raise ModelFileError(
                f"asks for {max(numbers, computed):.1e} numbers of memory at {node.operator} "
                f"({node.name:.60}); posec opens models of up to {MOST_NUMBERS:.1e}"
            )
        if operations > MOST_OPERATIONS:
            raise ModelFileError(f"asks for more than {MOST_OPERATIONS:.1e} operations for one picture")
        shapes.update(zip(node.outputs, found))
    return shapes


def _shapes_of(
    node: Node, shapes: Mapping[str, Shape], graph: ModelGraph, rules: Mapping[str, Rule]
) -> List[Shape]:
    rule = rules.get(node.operator)
    if rule is None:
        raise ModelFileError(f"holds the operator {node.operator!r:.60}, which posec never exports")
    if not node.outputs or any(name in shapes for name in node.outputs if name):
        raise ModelFileError(f"computes a tensor twice, or none, in {node.operator} ({node.name:.60})")
    found = rule(NodeInputs(node, shapes, graph.values))
    if len(found) < len(node.outputs):
        raise ModelFileError(f"holds {node.operator} ({node.name:.60}) with {len(node.outputs)} outputs")
    return found[: len(node.outputs)]
