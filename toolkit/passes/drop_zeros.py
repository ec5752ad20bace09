"""Drop branches that end in a convolution of zeros: they cost their time and add nothing."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import shape_inference

from ..graph import Graph
from .edits import redirect, sweep
from .layers import WEIGHT_AXIS, Links, links

# What these make of zeros is zeros.
_KEEP_ZERO = ("Relu", "LeakyRelu", "Resize", "AveragePool", "MaxPool", "Identity")


def drop_zeros(graph: Graph) -> int:
    """Take out every Add of which one operand is zero wherever the picture changes, and what made that operand.

        x -> Conv(0, 0) -> Resize -> z;  Add(y, z) -> a        becomes        y for a

    A branch that starts at zero, so that adding it to a trained network changes nothing, may end so as well.

    1. All weights of the convolution are zero, and its bias, where it has one.
    2. Both operands have the shape of the sum, and the sum is no head.

    Returns the number of Adds taken out.
    """
    model, count = graph.model, 0
    shapes = _shapes(model)
    for add in [node for node in model.graph.node if node.op_type == "Add"]:
        found = links(model)
        zeros = [_is_zero(name, found) for name in add.input]
        same = len({shapes.get(name) for name in (*add.input, add.output[0])}) == 1
        if not any(zeros) or not same or add.output[0] in found.outputs:
            continue
        redirect(model, add.output[0], add.input[0 if zeros[1] else 1])
        count += 1
    sweep(model)
    return count


def _is_zero(tensor: str, found: Links) -> bool:
    maker = found.producers.get(tensor)
    while maker is not None and maker.op_type in _KEEP_ZERO:
        maker = found.producers.get(maker.input[0])
    if maker is None or maker.op_type not in WEIGHT_AXIS or not all(name in found.constants for name in maker.input[1:] if name):
        return False
    return not any(np.any(found.array(name)) for name in maker.input[1:] if name)


def _shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...]]:
    values = shape_inference.infer_shapes(model).graph.value_info
    return {value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim) for value in values}
