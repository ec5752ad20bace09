"""Shapes of the outputs of the ONNX operators that a bundle may hold, as opset 13 defines them.

A rule takes a NodeInputs and returns one shape for each output. Its definitions are those of
https://github.com/onnx/onnx/blob/main/docs/Operators.md. Operators without a rule are refused: control flow,
sequences, random numbers, and outputs of a size that depends on the picture.
"""

from __future__ import annotations

from typing import Dict, List

from ..graph import Shape
from ..inputs import NodeInputs, Rule, broadcast
from .onnx_layout_rules import LAYOUT_RULES
from .onnx_window_rules import WINDOW_RULES

_LIKE_THE_FIRST = """
Abs Acos Acosh Asin Asinh Atan Atanh Cast Ceil Celu Clip Cos Cosh CumSum DequantizeLinear Elu Erf Exp Floor
HardSigmoid HardSwish Hardmax Identity InstanceNormalization IsInf IsNaN LRN LayerNormalization LeakyRelu Log
LogSoftmax LpNormalization MeanVarianceNormalization Neg Not QuantizeLinear Reciprocal Relu Round
ScatterElements ScatterND Selu Sigmoid Sign Sin Sinh Softmax Softplus Softsign Sqrt Tan Tanh ThresholdedRelu
""".split()
_BROADCAST = """
Add And BitShift Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean Min Mod Mul Or PRelu Pow Sub Sum
Where Xor
""".split()
_REDUCTIONS = """
ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
ReduceSumSquare
""".split()


def _like_the_first(node: NodeInputs) -> List[Shape]:
    return [node.shape()]


def _like_the_first_each(node: NodeInputs) -> List[Shape]:
    """BatchNormalization and Dropout: further outputs are no larger than the first."""
    return [node.shape() for _ in node.node.outputs]


def _broadcast(node: NodeInputs) -> List[Shape]:
    return [broadcast(node.given)]


def _reduced(node: NodeInputs) -> List[Shape]:
    shape = node.shape()
    axes = node.axes(1, len(shape))
    if not axes:
        if node.attribute("noop_with_empty_axes", 0):
            return [shape]
        axes = tuple(range(len(shape)))
    return [_without(shape, axes, node.attribute("keepdims", 1))]


def _arg(node: NodeInputs) -> List[Shape]:
    shape = node.shape()
    axis = node.axis(node.attribute("axis", 0), len(shape))
    return [_without(shape, (axis,), node.attribute("keepdims", 1))]


def _without(shape: Shape, axes: "tuple[int, ...]", keep: int) -> Shape:
    if keep:
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)


def _top_k(node: NodeInputs) -> List[Shape]:
    shape = list(node.shape())
    shape[node.axis(node.attribute("axis", -1), len(shape))] = sum(node.values(1)[:1])
    return [tuple(shape), tuple(shape)]


def _mat_mul(node: NodeInputs) -> List[Shape]:
    one, other = node.shape(), node.shape(1)
    if not one or not other:
        raise node.refusal("multiplies numbers without axes")
    rows = one[-2:-1] if len(one) > 1 else ()
    columns = other[-1:] if len(other) > 1 else ()
    return [broadcast((one[:-2], other[:-2])) + rows + columns]


def _gemm(node: NodeInputs) -> List[Shape]:
    one, other = node.shape(), node.shape(1)
    if len(one) != 2 or len(other) != 2:
        raise node.refusal("multiplies tensors that are not matrices")
    return [(one[1 if node.attribute("transA", 0) else 0], other[0 if node.attribute("transB", 0) else 1])]


def _einsum(node: NodeInputs) -> List[Shape]:
    equation = node.attribute("equation", "").replace(" ", "")
    read, arrow, written = equation.partition("->")
    sizes: Dict[str, int] = {}
    terms = read.split(",")
    if not arrow or "." in equation or len(terms) != len(node.given):
        raise node.refusal("has an equation without '->', or with '...'")
    for letters, shape in zip(terms, node.given):
        if len(letters) != len(shape):
            raise node.refusal("has an equation that does not fit its inputs")
        for letter, size in zip(letters, shape):
            sizes[letter] = max(size, sizes.get(letter, 0))
    if not set(written) <= set(sizes):
        raise node.refusal("has an equation that does not fit its inputs")
    return [tuple(sizes[letter] for letter in written)]


def _recurrent(node: NodeInputs) -> List[Shape]:
    """GRU, LSTM and RNN: the outputs at all times, and the last states."""
    shape, hidden = node.shape(), node.attribute("hidden_size", 0)
    directions = 2 if node.attribute("direction", "forward") == "bidirectional" else 1
    if len(shape) != 3 or hidden < 1:
        raise node.refusal("states no hidden size, or reads no sequence")
    last = (directions, shape[1], hidden)
    return [(shape[0], directions, shape[1], hidden), last, last]


ONNX_RULES: Dict[str, Rule] = {
    **dict.fromkeys(_LIKE_THE_FIRST, _like_the_first),
    **dict.fromkeys(_BROADCAST, _broadcast),
    **dict.fromkeys(_REDUCTIONS, _reduced),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **dict.fromkeys(("BatchNormalization", "Dropout"), _like_the_first_each),
    **dict.fromkeys(("GRU", "LSTM", "RNN"), _recurrent),
    "TopK": _top_k,
    "MatMul": _mat_mul,
    "Gemm": _gemm,
    "Einsum": _einsum,
    **LAYOUT_RULES,
    **WINDOW_RULES,
}
