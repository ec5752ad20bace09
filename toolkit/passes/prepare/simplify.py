"""Fold constants with onnxsim."""

from __future__ import annotations

import onnx

from ...errors import PosecError
from ...ir.graph import Graph, Stage, requires
from ..edit.graph_index import index_graph

# onnxsim changes none of these unless their operands are constant.
_LAYERS = "Conv ConvTranspose AveragePool MaxPool GlobalAveragePool BatchNormalization Resize"
_ACTIVATIONS = "Relu LeakyRelu PRelu Clip Sigmoid Tanh HardSigmoid HardSwish"
_PLAIN = frozenset(
    [
        *_LAYERS.split(),
        *_ACTIVATIONS.split(),
        *["Add", "Sub", "Mul", "Div", "Neg", "Concat", "Slice", "Split"],
    ]
)
_ARITHMETIC = ("Add", "Sub", "Mul", "Div")


@requires(Stage.TRACED)
def simplify(graph: Graph) -> int:
    """Fold constants, such as the shape arithmetic of exporters, and remove nodes without effect.

    1. A graph of only layers and activations stays as it is: importing onnxsim is slow.
    2. Others are simplified: with shape arithmetic, constant operands, or a constant added to a convolution.

    Returns the number of nodes removed. Raises PosecError where onnxsim is missing; only the host needs it.
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
    """Return whether onnxsim would leave a model unchanged."""
    graph_index = index_graph(model)
    for node in model.graph.node:
        data = graph_index.data_inputs(node)
        if node.op_type not in _PLAIN or not data:
            return False
        maker = graph_index.producers.get(node.input[data[0]])
        if (
            node.op_type in _ARITHMETIC
            and len(data) == 1
            and maker is not None
            and maker.op_type in ("Conv", "ConvTranspose")
        ):
            return False
    return True
