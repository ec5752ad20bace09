"""Drop nodes that pass their input on."""

from __future__ import annotations

from ...ir.graph import Graph
from ..edit.edits import redirect, sweep
from ..edit.graph_index import links

_PASSING = ("Identity", "Dropout")


def drop_identities(graph: Graph) -> int:
    """Drop each Identity, and Dropout, which does nothing outside training.

        x -> Identity -> y -> Conv        becomes        x -> Conv

    1. Readers of y read x.
    2. Where y is a head, the maker of x writes y instead, unless x is the batch, a constant or a head itself.
    3. A Dropout whose mask is read stays.

    Returns the number of nodes removed.
    """
    model, count = graph.model, 0
    for node in [node for node in model.graph.node if node.op_type in _PASSING]:
        found = links(model)
        source, target = node.input[0], node.output[0]
        if any(name in found.readers or name in found.outputs for name in node.output[1:]):
            continue
        if target in found.outputs:
            maker = found.producers.get(source)
            if maker is None or source in found.outputs:
                continue
            maker.output[list(maker.output).index(source)] = target
            redirect(model, source, target)
        else:
            redirect(model, target, source)
        model.graph.node.remove(node)
        count += 1
    sweep(model)
    return count
