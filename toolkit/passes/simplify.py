"""Fold whatever is constant, with onnxsim."""

from __future__ import annotations

from ..errors import PosecError
from ..graph import Graph


def simplify(graph: Graph) -> int:
    """Fold constants, such as the arithmetic on shapes that exporters leave behind, and drop what does nothing.

    Returns by how many nodes the graph shrank. Raises PosecError where onnxsim is missing: it is needed on the host alone.
    """
    try:
        import onnxsim
    except ImportError as error:
        raise PosecError("preparing a graph needs onnxsim on the host: pip install 'posec[host]'") from error
    before = len(graph.model.graph.node)
    simplified, same = onnxsim.simplify(graph.model, check_n=0)
    if not same:
        raise PosecError("onnxsim could not simplify this graph; export the network again with static shapes")
    graph.model = simplified
    return max(0, before - len(graph.model.graph.node))
