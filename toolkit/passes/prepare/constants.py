"""Turn Constant nodes into initializers."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...ir.graph import Graph
from ..edit.edits import replace

_SHORT_FORMS = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


def inline_constants(graph: Graph) -> int:
    """Turn each Constant node into an initializer, so that a constant has one form.

        Constant -> c -> Clip        becomes        c (initializer) -> Clip

    1. `value`, and the short forms `value_float(s)` and `value_int(s)`, are read.
    2. A Constant of another form (strings, sparse) stays.

    Returns the number of nodes removed.
    """
    return inline_constants_of(graph.model)


def inline_constants_of(model: onnx.ModelProto) -> int:
    """Do the same to a model that is no Graph yet."""
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
