"""Compute nodes on constants and static shapes, within bounds that hold for untrusted files."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ..edit.edits import attribute, replace
from .constants import inline_constants_of
from .shapes import static_shapes

# The arithmetic on shapes that exporters write, and small tables; larger constants are left to onnxsim.
MOST_NUMBERS = 2**16
_MOST_ROUNDS = 64
_ARITHMETIC = "Abs Add Ceil Clip Div Floor Max Min Mod Mul Neg Reciprocal Round Sign Sqrt Sub Sum"
_LOGIC = "And Cast Equal Greater GreaterOrEqual Identity Less LessOrEqual Not Or Where"
_ELEMENTWISE = frozenset([*_ARITHMETIC.split(), *_LOGIC.split()])
# A result of these has at most as many numbers as the inputs together.
_REDUCTIONS = "ReduceMax ReduceMin ReduceProd ReduceSum"
_MOVES = "Concat Flatten Reshape ScatterND Slice Split Squeeze Transpose Unsqueeze"
_SHRINKING = frozenset([*_REDUCTIONS.split(), *_MOVES.split()])


def constant_array(model: onnx.ModelProto, name: str) -> np.ndarray | None:
    """Return the values of an initializer, or None where there is none of that name."""
    return next((numpy_helper.to_array(each) for each in model.graph.initializer if each.name == name), None)


def fold_shapes(model: onnx.ModelProto) -> int:
    """Replace nodes on constants and static shapes by their results, in place; return how many.

        x (1, 16, 8, 12) -> Shape -> Gather(2) -> Mul(2)        becomes        a constant, 16

    1. Constant nodes become initializers; a Shape or Size is read from an inferred static shape.
    2. An operator stays if its result may have more than MOST_NUMBERS numbers, which is checked first.
    3. An operator that fails stays, for the checker to refuse.
    """
    count, position = inline_constants_of(model), 0
    for _ in range(_MOST_ROUNDS):
        shapes = static_shapes(model)
        values = {
            t.name: numpy_helper.to_array(t)
            for t in model.graph.initializer
            if math.prod(t.dims) <= MOST_NUMBERS
        }
        kept: list[onnx.NodeProto] = []
        position = len(model.graph.node)
        for node in model.graph.node:
            results = _compute(node, values, shapes, model=model)
            if results is None:
                kept.append(node)
                continue
            values.update(results)
            model.graph.initializer.extend(
                numpy_helper.from_array(array, name) for name, array in results.items()
            )
        if len(kept) == position:
            break
        count += position - len(kept)
        replace(model.graph.node, kept)
    return count


def _compute(
    node: onnx.NodeProto,
    values: Mapping[str, np.ndarray],
    shapes: Mapping[str, Sequence[int]],
    *,
    model: onnx.ModelProto,
) -> dict[str, np.ndarray] | None:
    """Return a node's results by name, or None where it must stay."""
    if node.op_type in ("Shape", "Size") and node.input[0] in shapes:
        shape = shapes[node.input[0]]
        begin, end = attribute(node, "start", 0), attribute(node, "end", None)
        array = np.asarray(math.prod(shape) if node.op_type == "Size" else shape[begin:end], np.int64)
        return {node.output[0]: array}
    names = [name for name in node.input if name]
    if not names or not all(name in values for name in names):
        return None
    arrays = [values[name] for name in names]
    try:
        size = _largest_result(node, arrays)
        if size is None or size > MOST_NUMBERS:
            return None
        return _evaluate(node, dict(zip(names, arrays, strict=True)), model)
    # numpy raises any class for arguments that ONNX forbids; the checker refuses them.
    except Exception:
        return None


def _largest_result(node: onnx.NodeProto, arrays: Sequence[np.ndarray]) -> int | None:
    """Return how many numbers a result has at most; None for an operator that is not computed here."""
    if node.op_type in _ELEMENTWISE:
        return math.prod(np.broadcast_shapes(*(array.shape for array in arrays)))
    if node.op_type in _SHRINKING:
        return sum(array.size for array in arrays)
    sized: dict[str, Callable[[], int]] = {
        "ConstantOfShape": lambda: math.prod(map(int, arrays[0])),
        "Expand": lambda: math.prod(np.broadcast_shapes(arrays[0].shape, tuple(map(int, arrays[1])))),
        "Tile": lambda: arrays[0].size * math.prod(map(int, arrays[1])),
        "Range": lambda: math.ceil((float(arrays[1]) - float(arrays[0])) / float(arrays[2])),
        "Gather": lambda: arrays[0].size * max(arrays[1].size, 1),
    }
    return sized[node.op_type]() if node.op_type in sized else None


def _evaluate(
    node: onnx.NodeProto, inputs: Mapping[str, np.ndarray], model: onnx.ModelProto
) -> dict[str, np.ndarray]:
    given = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in inputs.items()
    ]
    made = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.output if name]
    single = helper.make_model(
        helper.make_graph([node], "one", given, made), opset_imports=model.opset_import
    )
    results = ReferenceEvaluator(single).run(None, dict(inputs))
    return {value.name: np.asarray(result) for value, result in zip(made, results, strict=True)}
