"""Remove nodes that return their input."""

from __future__ import annotations

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import remove_dead_nodes, replace_uses
from ..edit.graph_index import index_graph

_PASSING = ("Identity", "Dropout")


@requires(Stage.TRACED)
def drop_identities(graph: Graph) -> int:
    """Remove each Identity and each Dropout, which does nothing outside training.

        x -> Identity -> y -> Conv        becomes        x -> Conv

    1. Readers of y read x.
    2. Where y is a head, the producer of x writes y, unless x is the batch, a constant or a head itself.
    3. A Dropout with a used mask stays.

    Returns the number of nodes removed.
    """
    model, count = graph.model, 0
    for node in [node for node in model.graph.node if node.op_type in _PASSING]:
        graph_index = index_graph(model)
        source, target = node.input[0], node.output[0]
        if any(name in graph_index.readers or name in graph_index.outputs for name in node.output[1:]):
            continue
        if target in graph_index.outputs:
            maker = graph_index.producers.get(source)
            if maker is None or source in graph_index.outputs:
                continue
            maker.output[list(maker.output).index(source)] = target
            replace_uses(model, source, target)
        else:
            replace_uses(model, target, source)
        model.graph.node.remove(node)
        count += 1
    remove_dead_nodes(model)
    return count
