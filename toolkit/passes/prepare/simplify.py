"""Fold whatever is constant, with onnxsim."""

from __future__ import annotations

import onnx

from ...errors import PosecError
from ...ir.graph import Graph
from ..edit.graph_index import index_graph

# Of these onnxsim makes nothing else, unless their operands are constant.
_PLAIN = frozenset(
    ["Conv", "ConvTranspose", "Relu", "LeakyRelu", "PRelu", "Clip", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Add", "Sub", "Mul", "Div", "Neg",
     "Concat", "Slice", "Split", "Resize", "AveragePool", "MaxPool", "GlobalAveragePool", "BatchNormalization"]
)  # fmt: skip
_ARITHMETIC = ("Add", "Sub", "Mul", "Div")


def simplify(graph: Graph) -> int:
    """Fold constants, such as the arithmetic on shapes that exporters leave behind, and drop what does nothing.

    1. A graph of layers and activations alone is left as it is: importing onnxsim takes seconds.
    2. Any other is given to onnxsim: where shapes are computed, something is constant, or a constant is added
       to a convolution.

    Returns by how many nodes the graph shrank. Raises PosecError where onnxsim is missing: it is needed on the host alone.
    """
    if is_plain(graph.model):
        return 0
    try:
        import onnxsim
    except ImportError as error:
        raise PosecError(
            "preparing this graph needs onnxsim on the host: pip install 'posec[compile]'"
        ) from error
    before = len(graph.model.graph.node)
    simplified, same = onnxsim.simplify(graph.model, check_n=0)
    if not same:
        raise PosecError("onnxsim could not simplify this graph; export the network again with static shapes")
    graph.model = simplified
    return max(0, before - len(graph.model.graph.node))


def is_plain(model: onnx.ModelProto) -> bool:
    """Return whether a model has nothing that onnxsim would fold."""
    found = index_graph(model)
    for node in model.graph.node:
        data = found.data_inputs(node)
        if node.op_type not in _PLAIN or not data:
            return False
        maker = found.producers.get(node.input[data[0]])
        if (
            node.op_type in _ARITHMETIC
            and len(data) == 1
            and maker is not None
            and maker.op_type in ("Conv", "ConvTranspose")
        ):
            return False
    return True
