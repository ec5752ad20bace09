"""Turn Constant nodes into initializers."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...ir.graph import Graph, Stage, requires
from ..edit.edits import replace

_SHORT_FORMS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


@requires(Stage.TRACED)
def inline_constants(graph: Graph) -> int:
    """Turn each Constant node into an initializer, the one form of a constant that other passes read.

        Constant -> c -> Clip        becomes        c (initializer) -> Clip

    1. `value`, `value_float(s)` and `value_int(s)` are read.
    2. A Constant of strings, or a sparse one, stays.

    Returns the number of nodes removed.
    """
    return inline_constants_of(graph.model)


def inline_constants_of(model: onnx.ModelProto) -> int:
    """Apply `inline_constants` to a plain ONNX model."""
    kept = []
    for node in model.graph.node:
        tensor = _tensor(node) if node.op_type == "Constant" else None
        if tensor is None:
            kept.append(node)
            continue
        tensor.name = node.output[0]
        model.graph.initializer.append(tensor)
    count = len(model.graph.node) - len(kept)
    if count:
        replace(model.graph.node, kept)
    return count


def _tensor(node: onnx.NodeProto) -> TensorProto | None:
    if not node.attribute:
        return None
    stated = node.attribute[0]
    value = helper.get_attribute_value(stated)
    if stated.name == "value":
        return TensorProto.FromString(value.SerializeToString())
    if stated.name not in _SHORT_FORMS:
        return None
    return numpy_helper.from_array(np.asarray(value, _SHORT_FORMS[stated.name]))
